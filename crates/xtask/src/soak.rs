//! `cargo xtask soak`: what continuous integration runs for seconds, for as long as one likes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use hubkey_starters::console::say;

use crate::steps::StepContext;

/// How long.
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// So many schedules in one process, and so many with real processes; 0 runs none.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    schedules: u32,
    /// The first seed: a violated invariant names its own.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// So many random scenarios of people, browsers and kernels for each invariant, on memory and on Redis; 0 runs none.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    scenarios: u32,
    /// So often something happens to a real process at each message of a refresh, at a strict provider and at one that gives
    /// grace; 0 leaves it out. Twice a minute and a half.
    #[arg(long, value_name = "N", default_value_t = 10)]
    message_faults: u32,
    /// Every schedule with so many deviations from the usual, in one process; 0 runs none. Each one more takes up to ten
    /// times as long.
    #[arg(long, value_name = "N", default_value_t = 4)]
    deviations: u8,
    /// So many hours a kernel reads ten-second tokens of a Keycloak that rotates strictly; 0 leaves it out.
    #[arg(long, value_name = "H", default_value_t = 0.0)]
    hours: f64,
}

/// One part: a test that takes its length from a variable.
struct Part {
    name: &'static str,
    target: &'static str,
    test: &'static str,
    variables: Vec<(&'static str, String)>,
}

/// Runs every part, also after one has failed. The tests say how far they are.
pub(crate) fn run(soak: &Soak) -> anyhow::Result<bool> {
    let context = StepContext::new()?;
    let mut good = true;
    for part in parts(soak) {
        let began = Instant::now();
        say(format!("{}: begins", part.name));
        let passed = run_part(&context, &part)?;
        let took = Duration::from_secs(began.elapsed().as_secs());
        let word = if passed { "held" } else { "VIOLATED" };
        say(format!("{}: {word} after {took:?}", part.name));
        good &= passed;
    }
    Ok(good)
}

fn parts(soak: &Soak) -> Vec<Part> {
    let mut parts = in_one_process(soak);
    parts.extend(with_real_processes(soak));
    parts
}

fn in_one_process(soak: &Soak) -> Vec<Part> {
    let part = |name, test, variables| Part {
        name,
        target: "invariants",
        test,
        variables,
    };
    let mut parts = Vec::new();
    if soak.deviations > 0 {
        let variables = vec![("SOAK_DEVIATIONS", soak.deviations.to_string())];
        parts.push(part("every schedule", "every_schedule", variables));
    }
    if soak.scenarios > 0 {
        let variables = vec![("PROPTEST_CASES", soak.scenarios.to_string())];
        parts.push(part("random scenarios", "scenarios::", variables));
    }
    if soak.schedules > 0 {
        let variables = vec![
            ("PROPTEST_CASES", soak.schedules.to_string()),
            ("SOAK_SEED", soak.seed.to_string()),
        ];
        let name = "schedules in one process";
        parts.push(part(name, "invariant_i5_rotation", variables));
    }
    parts
}

fn with_real_processes(soak: &Soak) -> Vec<Part> {
    let mut parts = Vec::new();
    if soak.schedules > 0 {
        parts.push(Part {
            name: "schedules with real processes",
            target: "faults",
            test: "real_brokers_that_are_killed",
            variables: vec![
                ("SOAK_SCHEDULES", soak.schedules.to_string()),
                ("SOAK_SEED", soak.seed.to_string()),
            ],
        });
    }
    if soak.message_faults > 0 {
        parts.push(Part {
            name: "every message with real processes",
            target: "faults",
            test: "at_each_message",
            variables: vec![("SOAK_MESSAGE_FAULTS", soak.message_faults.to_string())],
        });
    }
    if soak.hours > 0.0 {
        let seconds = Duration::from_secs_f64(soak.hours * 3600.0).as_secs();
        parts.push(Part {
            name: "ten-second tokens",
            target: "outside",
            test: "feature_f1_feature_f6",
            variables: vec![("SOAK_SECONDS", seconds.to_string())],
        });
    }
    parts
}

fn run_part(context: &StepContext, part: &Part) -> anyhow::Result<bool> {
    let arguments = ["test", "--workspace", "--locked", "--test", part.target];
    let mut command: Command = context.cargo(&arguments);
    command
        .args(["--", part.test, "--nocapture", "--test-threads=1"])
        .envs(part.variables.iter().map(|(name, value)| (*name, value)))
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    let status = command.status().context("cargo does not start")?;
    Ok(status.success())
}
