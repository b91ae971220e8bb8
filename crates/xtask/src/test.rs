//! `cargo xtask test`: the steps one after the other, and a table of what ran.

use std::time::Instant;

use anyhow::bail;
use hubkey_starters::console::say;
use hubkey_starters::tools::{self, Consent};

use crate::kinds::Wish;
use crate::report::{self, Row};
use crate::steps::{STEPS, Step, StepContext};

/// Which steps are to run.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Only those that need no server.
    pub(crate) quick: bool,
    /// Only those whose name contains this.
    pub(crate) only: Option<String>,
    /// On which kinds of stack.
    pub(crate) wish: Wish,
}

/// Runs the steps; a failed one does not keep the others from running. Says whether all passed.
pub(crate) fn run(choice: &Choice, consent: Consent) -> anyhow::Result<bool> {
    let only = choice.only.as_deref();
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| step.quick || !choice.quick)
        .filter(|step| choice.wish.includes(step.kind))
        .filter(|step| only.is_none_or(|word| step.name.contains(word)))
        .collect();
    if chosen.is_empty() {
        bail!("No step has that word in its name. There are: {}.", names());
    }
    tools::install_for_tests(consent)?;
    let context = StepContext::new()?;
    let rows: Vec<Row> = chosen
        .iter()
        .map(|step| attempt(step, &context, choice.wish))
        .collect();
    Ok(report::print(&rows))
}

fn attempt(step: &Step, context: &StepContext, wish: Wish) -> Row {
    say(format!("==> {}", step.name));
    if let Some(missing) = step.kind.missing() {
        say(format!("    did not run: {}", missing.0));
        return Row::left_out(step.name, missing, wish.insists_on(step.kind));
    }
    let started = Instant::now();
    let result = (step.run)(context);
    let row = Row::new(step.name, started.elapsed(), result);
    if let Some(trouble) = &row.trouble {
        say(format!("{trouble}\n    FAILED: {}", step.name));
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
