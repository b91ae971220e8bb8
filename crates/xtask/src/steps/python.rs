//! The Python package: lint, format, types, and its tests against the wheel that a user would install.

use hubkey_e2e::{console, tools, wheel};

use super::{Bench, Outcome};
use crate::report::{Count, Failure};

const PACKAGE: &str = "crates/python-shim";

pub(crate) fn lint(bench: &Bench) -> Outcome {
    let mut total = Count::default();
    let others = ["docker", "e2e"];
    for verb in [&["check"][..], &["format", "--check"][..]] {
        let mut command = bench.python_command("ruff");
        command
            .args(verb)
            .arg("--config")
            .arg(format!("{PACKAGE}/pyproject.toml"))
            .arg(PACKAGE)
            .args(others);
        total.add(bench.check(&format!("ruff {}", verb[0]), command)?);
    }
    Ok(total)
}

pub(crate) fn tests(bench: &Bench) -> Outcome {
    let packages = wheel::install()?;
    let mut total = Count::ONE;
    let folder = bench.root().join(PACKAGE);
    let mut pyright = bench.python_command("pyright");
    pyright
        .env("PYRIGHT_PYTHON_CACHE_DIR", tools::pyright_cache())
        .env("PYTHONPATH", &packages)
        .arg("--pythonpath")
        .arg(tools::python())
        .current_dir(&folder);
    total.add(bench.check("pyright", pyright)?);
    let mut pytest = bench.python_command("python");
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .env("PYTHONPATH", &packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&folder);
    let log = bench.log("pytest");
    let result = console::run("pytest", &mut pytest, &log);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    total.add(count(&text));
    match result {
        Ok(()) => Ok(total),
        Err(error) => Err(Failure {
            count: total,
            trouble: format!("{error:#}"),
        }),
    }
}

/// Reads the closing line of pytest: `3 failed, 12 passed, 1 warning in 2.31s`.
fn count(output: &str) -> Count {
    let closing = output
        .lines()
        .rev()
        .find(|line| line.contains(" in ") && line.ends_with('s'));
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
            counted("12 passed in 2.31s"),
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
