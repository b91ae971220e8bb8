//! Builds the API documentation; a warning fails the step.

use super::{Bench, Outcome};

pub(crate) fn run(bench: &Bench) -> Outcome {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ];
    let mut command = bench.cargo(&arguments);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    bench.check("cargo doc", command)
}
