//! The Rust tests. Always with the features of the whole workspace, so that nothing is compiled twice.

use std::process::Command;

use anyhow::{Context as _, bail};
use hubkey_e2e::stack::platform;
use hubkey_starters::console;
use serde_json::Value;

use super::{Outcome, StepContext, compile};
use crate::report::{Count, Failure};

const PAGES: &str = "hubkey-callback-server";
/// The broker and the crates that it is made of.
const BROKER: [&str; 3] = ["hubkey-oidc", "hubkey-store", "hubkey-token-broker"];
const END_TO_END: &str = "hubkey-e2e";
/// The targets of [`END_TO_END`] that need a cluster, and containers.
const CLUSTER: &str = "cluster";
const CONTAINERS: &str = "containers";

pub(crate) fn units(context: &StepContext) -> Outcome {
    test(
        context,
        "unit tests",
        &["--lib".to_owned(), "--bins".to_owned()],
    )
}

/// The examples in the documentation, and what it says does not compile.
pub(crate) fn documentation(context: &StepContext) -> Outcome {
    test(context, "doc tests", &["--doc".to_owned()])
}

pub(crate) fn pages(context: &StepContext) -> Outcome {
    integration(context, "page tests", |package, _| package == PAGES)
}

pub(crate) fn broker(context: &StepContext) -> Outcome {
    integration(context, "broker tests", |package, _| {
        BROKER.contains(&package)
    })
}

pub(crate) fn others(context: &StepContext) -> Outcome {
    integration(context, "other tests", |package, _| {
        ![PAGES, END_TO_END].contains(&package) && !BROKER.contains(&package)
    })
}

pub(crate) fn end_to_end(context: &StepContext) -> Outcome {
    // Now, and not while tests run beside it that have time limits.
    compile::programs(context)?;
    integration(context, "end to end", |package, target| {
        package == END_TO_END && ![CLUSTER, CONTAINERS].contains(&target)
    })
}

/// The tests that need a cluster.
pub(super) fn on_a_cluster(context: &StepContext) -> Outcome {
    integration(context, "on a cluster", |package, target| {
        package == END_TO_END && target == CLUSTER
    })
}

/// The tests that need containers. They start their stacks so by themselves.
pub(super) fn containers(context: &StepContext) -> Outcome {
    integration(context, "tests of containers", |package, target| {
        package == END_TO_END && target == CONTAINERS
    })
}

/// The tests from outside that run on every kind of stack, with one of containers.
pub(super) fn everywhere_on_containers(context: &StepContext) -> Outcome {
    let arguments = ["--test", "outside", "--", "everywhere::"].map(str::to_owned);
    let on_containers = [(platform::VARIABLE, "containers")];
    test_with(context, "outside on containers", &arguments, &on_containers)
}

/// Runs some of the integration tests: which, is said of package and target.
fn integration(context: &StepContext, label: &str, wanted: fn(&str, &str) -> bool) -> Outcome {
    let mut arguments = Vec::new();
    for (package, target) in targets(context)? {
        if wanted(&package, &target) {
            arguments.extend(["--test".to_owned(), target]);
        }
    }
    if arguments.is_empty() {
        return Ok(Count::default());
    }
    test(context, label, &arguments)
}

fn test(context: &StepContext, label: &str, arguments: &[String]) -> Outcome {
    test_with(context, label, arguments, &[])
}

fn test_with(
    context: &StepContext,
    label: &str,
    arguments: &[String],
    environment: &[(&str, &str)],
) -> Outcome {
    let mut command = context.cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    // A failed assertion says what is wrong; forty frames of a runtime below it hide that.
    command
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .envs(environment.iter().copied());
    let log = context.log(label);
    let result = console::run(label, &mut command, &log);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let count = count(&text);
    match result {
        Ok(()) => Ok(count),
        Err(_) => Err(Failure {
            count,
            trouble: failures(&text),
        }),
    }
}

/// The integration test targets of the workspace, each with its package.
fn targets(context: &StepContext) -> anyhow::Result<Vec<(String, String)>> {
    let arguments = ["metadata", "--no-deps", "--format-version=1", "--locked"];
    let output = Command::output(&mut context.cargo(&arguments))?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    let mut found = Vec::new();
    for package in packages {
        let targets = package["targets"]
            .as_array()
            .context("a package without targets")?;
        let tests = targets.iter().filter(|target| target["kind"][0] == "test");
        found.extend(tests.filter_map(|target| {
            Some((
                package["name"].as_str()?.to_owned(),
                target["name"].as_str()?.to_owned(),
            ))
        }));
    }
    Ok(found)
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; …`.
fn count(output: &str) -> Count {
    let mut total = Count::default();
    for line in output
        .lines()
        .filter(|line| line.starts_with("test result:"))
    {
        let number = |word: &str| {
            let part = line
                .split(['.', ';'])
                .find(|part| part.trim().ends_with(word))?;
            part.trim().split(' ').next()?.parse().ok()
        };
        total.add(Count {
            passed: number("passed").unwrap_or(0),
            failed: number("failed").unwrap_or(0),
        });
    }
    total
}

/// What a reader needs of a failed run: the compiler's errors, or what the failed tests said. Of much, the beginning and
/// the end: a property test says last what it needs to fail.
fn failures(output: &str) -> String {
    const SHOWN: usize = 120;
    let lines: Vec<&str> = output.lines().collect();
    let start = lines
        .iter()
        .position(|line| line.starts_with("error") || *line == "failures:")
        .unwrap_or_else(|| lines.len().saturating_sub(SHOWN));
    let said = &lines[start..];
    if said.len() <= 2 * SHOWN {
        return said.join("\n");
    }
    let (beginning, end) = (&said[..SHOWN], &said[said.len() - SHOWN..]);
    let left_out = said.len() - 2 * SHOWN;
    format!(
        "{}\n[{left_out} lines left out]\n{}",
        beginning.join("\n"),
        end.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::{Count, count, failures};

    #[test]
    fn results_of_all_targets_are_added_up() {
        let output = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        assert_eq!(
            count(output),
            Count {
                passed: 7,
                failed: 1
            }
        );
    }

    #[test]
    fn of_much_that_failed_tests_said_the_beginning_and_the_end_are_shown() {
        let said: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
        let shown = failures(&format!("before\nfailures:\n{}", said.join("\n")));
        assert!(shown.starts_with("failures:\nline 0\n"));
        assert!(shown.ends_with("line 998\nline 999"));
        assert!(shown.contains("\n[761 lines left out]\n"), "{shown}");
        assert_eq!(failures("failures:\none"), "failures:\none");
    }
}
