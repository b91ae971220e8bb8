//! Runs clippy on the workspace; a warning fails the step.

use super::{Bench, Outcome};

pub(crate) fn run(bench: &Bench) -> Outcome {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ];
    bench.check("cargo clippy", bench.cargo(&arguments))
}
