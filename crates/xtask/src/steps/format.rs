//! Runs rustfmt; a difference fails the step.

use super::{Outcome, StepContext};

pub(crate) fn run(context: &StepContext) -> Outcome {
    context.check("cargo fmt", context.cargo(&["fmt", "--all", "--check"]))
}
