//! `cargo xtask test`: the steps, side by side where they can be, and a table of what ran.

use std::num::NonZero;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use hubkey_starters::console::say;
use hubkey_starters::tools::{self, Consent};

use crate::kinds::StackFilter;
use crate::report::{self, Row};
use crate::schedule;
use crate::step::Step;
use crate::steps::{START_OF_CLUSTER, STEPS, StackOptions, StepContext};

/// Which steps are to run, and with what.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Only what needs no server: a minute's work between two commits.
    #[arg(long)]
    quick: bool,
    /// Only the steps whose name contains this; given again, those whose name contains either word.
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    #[command(flatten)]
    stacks: StackFilter,
    #[command(flatten)]
    stack_options: StackOptions,
    /// How many steps with tests run at once. Many tests have time limits: more than one needs idle cores.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    lanes: NonZero<usize>,
    /// Install what is missing without asking.
    #[arg(long)]
    yes: bool,
}

/// Runs the steps; a failed one does not keep the others from running. Says whether all passed.
pub(crate) fn run(arguments: &TestArgs) -> anyhow::Result<bool> {
    let named = |step: &Step| arguments.only.iter().any(|word| step.name.contains(word));
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| step.quick || !arguments.quick)
        .filter(|step| arguments.stacks.includes(step.kind))
        .filter(|step| {
            step.name != START_OF_CLUSTER || arguments.stack_options.start_cluster.is_some()
        })
        .filter(|step| arguments.only.is_empty() || named(step))
        .collect();
    if chosen.is_empty() {
        bail!("No step has that word in its name. There are: {}.", names());
    }
    tools::install_for_tests(Consent::from_flag(arguments.yes))?;
    let context = StepContext::with(arguments.stack_options.clone())?;
    let started = Instant::now();
    let rows = schedule::run(&chosen, arguments.lanes, |step| {
        attempt(step, &context, arguments.stacks)
    });
    Ok(report::print(&rows, started.elapsed()))
}

fn attempt(step: &Step, context: &StepContext, stacks: StackFilter) -> Row {
    say(format!("==> {}", step.name));
    if let Some(missing) = step.kind.missing() {
        say(format!("    did not run: {}", missing.0));
        return Row::left_out(step.name, missing, stacks.insists_on(step.kind));
    }
    let started = Instant::now();
    let result = (step.run)(context);
    let row = Row::new(step.name, started.elapsed(), result);
    match &row.trouble {
        Some(trouble) => say(format!("{trouble}\n    FAILED: {}", step.name)),
        None => say(format!("    ok: {}", step.name)),
    }
    row
}

fn names() -> String {
    STEPS
        .iter()
        .map(|step| step.name)
        .collect::<Vec<_>>()
        .join(", ")
}
