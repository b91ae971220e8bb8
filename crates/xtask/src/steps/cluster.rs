//! The chart on a cluster: its start, the images, and the tests in `e2e/tests/cluster`.

use std::process::Command;

use anyhow::Context as _;

use super::{Outcome, StepContext, containers, rust_tests};

/// Starts the cluster by the command that was given for it.
pub(crate) fn start(context: &StepContext) -> Outcome {
    let command = context.stack_options.start_cluster.as_ref();
    let command = command.context("no command to start a cluster was given")?;
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(context.root());
    context.check("start of the cluster", shell)
}

/// The tests that need a cluster.
pub(crate) fn run(context: &StepContext) -> Outcome {
    containers::made(context)?;
    rust_tests::on_a_cluster(context)
}
