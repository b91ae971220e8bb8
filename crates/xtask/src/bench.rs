//! `cargo xtask bench`: speed and memory of release builds, beside their peers, in one run.

mod extent;
mod figures;
mod kernels;
mod load;
mod machine;
mod python;
mod read;
mod report;
mod site;
mod storm;
mod wakeup;
mod wire;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Args;
use hubkey_e2e::{stack::servers, stack::wheel};
use hubkey_starters::console::say;
use hubkey_starters::process;
use hubkey_starters::tools::{self, Consent};

use self::extent::{Built, Extent, QUICK, WHOLE};
use self::machine::Machine;
use self::report::{Report, Section};

/// How much, and of what.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// A short run, whose numbers say little.
    #[arg(long)]
    quick: bool,
    /// Only the measurements whose name contains this: read, wake-up, storm, python.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Measure the programs of this folder, built before, instead of today's.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Install what is missing without asking.
    #[arg(long)]
    yes: bool,
}

const NAMES: [&str; 4] = ["read", "wake-up", "storm", "python"];

/// Measures, from a build that is as fast as what it measures: this very program is built anew for that.
pub(crate) fn run(wanted: &Bench) -> anyhow::Result<bool> {
    let consent = Consent::from_flag(wanted.yes);
    tools::install_missing(consent)?;
    tools::install_for_bench(consent)?;
    if cfg!(debug_assertions) {
        return again(&servers::build_optimised()?);
    }
    let programs = match &wanted.programs {
        Some(folder) => folder.clone(),
        None => servers::build_optimised()?,
    };
    let packages = wheel::install_optimised()?;
    process::allow_many_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let built = Built { programs, packages };
    runtime.block_on(measure(&built, wanted))
}

/// The same command in the build that was just made.
fn again(programs: &Path) -> anyhow::Result<bool> {
    let mut command = Command::new(programs.join("xtask"));
    command.args(std::env::args_os().skip(1));
    Ok(command.status().context("xtask does not start")?.success())
}

async fn measure(built: &Built, wanted: &Bench) -> anyhow::Result<bool> {
    let extent = if wanted.quick { QUICK } else { WHOLE };
    let only = wanted.only.as_deref();
    let is_wanted = |name: &&str| only.is_none_or(|word| name.contains(word));
    let chosen: Vec<&str> = NAMES.into_iter().filter(is_wanted).collect();
    ensure!(
        !chosen.is_empty(),
        "No measurement has that word in its name. There are: {}.",
        NAMES.join(", ")
    );
    let mut machine = Machine::look();
    let mut sections = Vec::new();
    for name in chosen {
        say(format!("==> {name}"));
        sections.push(one(name, built, &extent).await?);
    }
    machine.look_again();
    let report = Report { machine, sections };
    let whole = !wanted.quick && only.is_none() && wanted.programs.is_none();
    write(&report, whole)?;
    Ok(true)
}

async fn one(name: &str, built: &Built, extent: &Extent) -> anyhow::Result<Section> {
    match name {
        "read" => read::measure(built, extent).await,
        "wake-up" => wakeup::measure(built, extent).await,
        "storm" => storm::measure(built, extent).await,
        _ => python::measure(built, extent).await,
    }
}

/// A whole run replaces what is checked in; any other is left in the target folder.
fn write(report: &Report, whole: bool) -> anyhow::Result<()> {
    let folder = if whole {
        process::checkout().join("docs/explanation")
    } else {
        wheel::target_folder()?
    };
    let (json, page) = (folder.join("bench.json"), folder.join("performance.md"));
    std::fs::write(&json, report.json()?)?;
    std::fs::write(&page, report.page())?;
    say(report.page());
    say(format!("Written: {}, {}", json.display(), page.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn the_names_are_those_that_the_help_names() {
        let help = include_str!("bench.rs");
        assert!(help.contains(&format!("contains this: {}.", NAMES.join(", "))));
    }
}
