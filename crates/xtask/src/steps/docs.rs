//! Builds the API documentation; a warning fails the step.

use super::{Outcome, StepContext};

pub(crate) fn run(context: &StepContext) -> Outcome {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ];
    let mut command = context.cargo(&arguments);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    context.check("cargo doc", command)
}
