//! Checks that no source file is longer than 500 lines.

use std::process::Command;

use anyhow::Context as _;

use super::{Bench, Outcome};
use crate::report::Count;

const LINES: usize = 500;
const KINDS: [&str; 5] = [".rs", ".py", ".sh", ".html", ".css"];

pub(crate) fn run(bench: &Bench) -> Outcome {
    let mut trouble = Vec::new();
    for file in tracked(bench)? {
        if !KINDS.iter().any(|kind| file.ends_with(kind)) {
            continue;
        }
        let lines = read(bench, &file)?.lines().count();
        if lines > LINES {
            trouble.push(format!(
                "{file} has {lines} lines; the budget is {LINES}: split it"
            ));
        }
    }
    if trouble.is_empty() {
        return Ok(Count::ONE);
    }
    Err(anyhow::anyhow!(trouble.join("\n")).into())
}

/// The files of the checkout that are under version control or would be.
pub(crate) fn tracked(bench: &Bench) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(bench.root())
        .output()
        .context("git is missing")?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let exists = |name: &&str| bench.root().join(name).is_file();
    Ok(names.lines().filter(exists).map(str::to_owned).collect())
}

/// A file of the checkout as text; what is not UTF-8 is replaced.
pub(crate) fn read(bench: &Bench, file: &str) -> anyhow::Result<String> {
    let bytes =
        std::fs::read(bench.root().join(file)).with_context(|| format!("reading {file}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
