//! The Python package: lint, format, imports, types, and its tests against the wheel that a user would install.

use std::process::Command;

use hubkey_e2e::stack::wheel;
use hubkey_starters::{console, tools};

use super::{Outcome, StepContext};
use crate::report::{Count, Failure};

const PACKAGE: &str = "crates/python-shim";

pub(crate) fn lint(context: &StepContext) -> Outcome {
    let mut total = Count::default();
    // The package has rules of its own; what lies outside it, those of the checkout.
    let places = [
        (context.root().join(PACKAGE), vec!["."]),
        (context.root().into(), vec!["docker", "e2e", "k8s"]),
    ];
    for (folder, paths) in places {
        for verb in [&["check"][..], &["format", "--check"][..]] {
            let mut command = context.python_command("ruff");
            command.args(verb).args(&paths).current_dir(&folder);
            total.add(context.check(&format!("ruff {}", verb[0]), command)?);
        }
    }
    let mut imports = context.python_command("lint-imports");
    imports
        .arg("--no-cache")
        .env("PYTHONPATH", "python")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(context.root().join(PACKAGE));
    total.add(context.check("import-linter", imports)?);
    Ok(total)
}

/// Builds the package and installs it where all tests find it.
pub(crate) fn package(_: &StepContext) -> Outcome {
    wheel::install()?;
    Ok(Count::ONE)
}

pub(crate) fn tests(context: &StepContext) -> Outcome {
    let packages = wheel::install()?;
    let folder = context.root().join(PACKAGE);
    let python = |arguments: &[&str]| {
        let mut command = context.python_command("python");
        command
            .args(arguments)
            .env("PYTHONPATH", &packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYRIGHT_PYTHON_CACHE_DIR", tools::pyright_cache())
            .current_dir(&folder);
        command
    };
    let mut total = Count::ONE;
    let interpreter = tools::python().display().to_string();
    let types = ["-m", "pyright", "--pythonpath", &interpreter];
    total.add(context.check("pyright", python(&types))?);
    let stub = ["-m", "mypy.stubtest", "hubkey._hubkey"];
    total.add(context.check("stubtest", python(&stub))?);
    let pytest = python(&["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    run_pytest(context, "pytest", pytest, total)
}

/// Runs pytest and adds what it counted to what came before.
pub(super) fn run_pytest(
    context: &StepContext,
    label: &str,
    mut pytest: Command,
    mut total: Count,
) -> Outcome {
    let log = context.log(label);
    let result = console::run(label, &mut pytest, &log);
    total.add(count(&std::fs::read_to_string(&log).unwrap_or_default()));
    match result {
        Ok(()) => Ok(total),
        Err(error) => Err(Failure {
            count: total,
            trouble: format!("{error:#}"),
        }),
    }
}

/// Reads the closing line of pytest: `3 failed, 12 passed, 1 warning in 2.31s`, or `… in 71.20s (0:01:11)`.
fn count(output: &str) -> Count {
    let closing = output
        .lines()
        .rev()
        .find(|line| line.contains(" passed") || line.contains(" failed"));
    let closing = closing.and_then(|line| line.split(" in ").next());
    let number = |word: &str| {
        let mut parts = closing?.split([',', '=']).map(str::trim);
        let part = parts.find(|part| part.split(' ').nth(1) == Some(word))?;
        part.split(' ').next()?.parse().ok()
    };
    let (passed, failed) = (number("passed"), number("failed"));
    Count {
        passed: passed.unwrap_or(0),
        failed: failed.unwrap_or(0) + number("errors").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, count};

    #[test]
    fn the_closing_line_of_pytest_is_read() {
        let counted = |line| count(&format!("....\n{line}\n"));
        assert_eq!(
            counted("12 passed in 71.20s (0:01:11)"),
            Count {
                passed: 12,
                failed: 0
            }
        );
        assert_eq!(
            counted("3 failed, 12 passed in 2.31s"),
            Count {
                passed: 12,
                failed: 3
            }
        );
    }
}
