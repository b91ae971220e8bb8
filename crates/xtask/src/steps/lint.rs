//! Runs clippy on the workspace; a warning fails the step.

use super::{Outcome, StepContext};

pub(crate) fn run(context: &StepContext) -> Outcome {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ];
    context.check("cargo clippy", context.cargo(&arguments))
}
