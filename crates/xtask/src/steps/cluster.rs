//! The chart on a cluster: the images, and the tests in `e2e/tests/cluster`.

use super::{Bench, Outcome, containers, rust_tests};

pub(crate) fn run(bench: &Bench) -> Outcome {
    containers::make(bench, containers::FOR_TESTS)?;
    rust_tests::on_a_cluster(bench)
}
