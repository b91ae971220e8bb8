//! Everything that tests start, and the tests themselves. Compiled here, so that nothing compiles beside a test that has a
//! time limit.

use hubkey_e2e::stack::static_command;
use hubkey_starters::console::{self, say};

use super::{Outcome, StepContext};
use crate::report::Count;

pub(crate) fn run(context: &StepContext) -> Outcome {
    let tests = ["test", "--workspace", "--locked", "--no-run"];
    context.check("cargo test --no-run", context.cargo(&tests))?;
    programs(context)?;
    Ok(Count::ONE)
}

/// The programs that the end-to-end tests start.
pub(super) fn programs(context: &StepContext) -> anyhow::Result<()> {
    let build = ["build", "--workspace", "--bins", "--locked"];
    let log = context.log("cargo build");
    console::run("cargo build", &mut context.cargo(&build), &log)?;
    // What is wrong with it, its own test says.
    if let Err(error) = static_command::build("dev") {
        say(format!("    the static command: {error:#}"));
    }
    Ok(())
}
