//! The developer's commands.
//!
//! `cargo xtask test` checks everything that can be checked, `cargo xtask demo` shows one sign-in on the real
//! stack, `cargo xtask command` makes the command `hubkey` as one static program, `cargo xtask bench` measures speed and
//! memory, `cargo xtask install` only installs what both need, `cargo xtask docs` writes the generated parts of `docs/`.

mod bench;
mod demo;
mod kinds;
mod report;
mod schedule;
mod soak;
mod step;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hubkey_e2e::stack::static_command;
use hubkey_starters::console::say;
use hubkey_starters::tools::{self, Consent};

use crate::steps::containers::Making;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The developer's commands of hubkey.")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check everything: format, lints, licences, docs, unit tests, the real stack.
    Test(test::TestArgs),
    /// Show one sign-in on the real stack: Redis, Keycloak, JupyterHub, both servers, a browser.
    Demo {
        /// Start everything, print where it is, and wait for Ctrl-C.
        #[arg(long)]
        stay: bool,
        /// Install what is missing without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Make the images of `docker/Dockerfile`, tagged `dev`.
    Images {
        /// First build the base images that the engine lacks, where no container registry can be reached.
        #[arg(long)]
        offline: bool,
        /// Compile with optimisation, as for a release; takes three times as long.
        #[arg(long)]
        release: bool,
    },
    /// Make the command `hubkey` as one program that needs nothing of the system, and say where it is.
    Command {
        /// Install what is missing without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Play far more schedules of faults than `test` does, and read tokens for hours.
    Soak(soak::Soak),
    /// Measure speed and memory of release builds beside their peers, and write `docs/explanation/performance.md`.
    Bench(bench::Bench),
    /// Write the parts of `docs/` that the programs print themselves.
    Docs,
    /// Install what the other commands need.
    Install {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Test(choice) => test::run(&choice),
        Task::Demo { stay, yes } => demo::run(stay, Consent::from_flag(yes)),
        Task::Images { offline, release } => images(offline, release),
        Task::Command { yes } => command(Consent::from_flag(yes)),
        Task::Soak(wanted) => soak::run(&wanted),
        Task::Bench(wanted) => bench::run(&wanted),
        Task::Docs => docs(),
        Task::Install { yes } => install(Consent::from_flag(yes)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn images(offline: bool, release: bool) -> anyhow::Result<bool> {
    let profile = if release { "release" } else { "dev" };
    let making = Making { profile, offline };
    steps::containers::make(&steps::StepContext::new()?, making)?;
    say("The images are made: `docker compose up --wait` starts them.");
    Ok(true)
}

fn command(consent: Consent) -> anyhow::Result<bool> {
    tools::install_for_command(consent)?;
    let program = static_command::build("release")?;
    let bytes = std::fs::metadata(&program)?.len();
    say(format!(
        "{} is made: {} KiB, and needs no library.",
        program.display(),
        bytes / 1024
    ));
    Ok(true)
}

fn docs() -> anyhow::Result<bool> {
    steps::generated::write(&steps::StepContext::new()?)?;
    say("The settings reference and the OpenAPI document are written.");
    Ok(true)
}

fn install(consent: Consent) -> anyhow::Result<bool> {
    let all = tools::install_for_tests(consent)?;
    say(if all {
        "Everything is installed."
    } else {
        "Everything else is installed."
    });
    Ok(true)
}
