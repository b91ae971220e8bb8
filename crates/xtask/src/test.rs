//! `cargo xtask test`: the steps one after the other, and a table of what ran.

use std::time::Instant;

use anyhow::bail;
use hubkey_e2e::console::say;
use hubkey_e2e::tools::{self, Consent};

use crate::report::{self, Row};
use crate::steps::{Bench, STEPS, Step};

/// Runs the steps; a failed one does not keep the others from running. Says whether all passed.
pub(crate) fn run(quick: bool, only: Option<&str>, consent: Consent) -> anyhow::Result<bool> {
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| step.quick || !quick)
        .filter(|step| only.is_none_or(|word| step.name.contains(word)))
        .collect();
    if chosen.is_empty() {
        bail!("No step has that word in its name. There are: {}.", names());
    }
    tools::install_missing(consent)?;
    let bench = Bench::new()?;
    let rows: Vec<Row> = chosen.iter().map(|step| attempt(step, &bench)).collect();
    Ok(report::print(&rows))
}

fn attempt(step: &Step, bench: &Bench) -> Row {
    say(format!("==> {}", step.name));
    let started = Instant::now();
    let result = (step.run)(bench);
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
