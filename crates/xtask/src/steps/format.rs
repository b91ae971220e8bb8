//! Runs rustfmt; a difference fails the step.

use super::{Bench, Outcome};

pub(crate) fn run(bench: &Bench) -> Outcome {
    bench.check("cargo fmt", bench.cargo(&["fmt", "--all", "--check"]))
}
