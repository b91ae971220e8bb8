//! The chart on a cluster: the images, and the tests in `e2e/tests/cluster`.

use super::{Outcome, StepContext, containers, rust_tests};

pub(crate) fn run(context: &StepContext) -> Outcome {
    containers::make(context, containers::FOR_TESTS)?;
    rust_tests::on_a_cluster(context)
}
