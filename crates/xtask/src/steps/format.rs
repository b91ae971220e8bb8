//! The code looks as rustfmt leaves it.

use super::{Bench, Outcome};

pub(crate) fn run(bench: &Bench) -> Outcome {
    bench.check("cargo fmt", bench.cargo(&["fmt", "--all", "--check"]))
}
