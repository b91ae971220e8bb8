//! Checks that no source file is longer than 500 lines, and that no type has more than 40 methods.

mod methods;

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::{Outcome, StepContext};
use crate::report::Count;

const LINES: usize = 500;
/// Those of its traits do not count.
const METHODS: usize = 40;
const KINDS: [&str; 5] = [".rs", ".py", ".sh", ".html", ".css"];

pub(crate) fn run(context: &StepContext) -> Outcome {
    let mut trouble = Vec::new();
    let mut sources = Vec::new();
    for file in tracked(context)? {
        if !KINDS.iter().any(|kind| file.ends_with(kind)) {
            continue;
        }
        let text = read(context, &file)?;
        let lines = text.lines().count();
        if lines > LINES {
            trouble.push(format!(
                "{file} has {lines} lines; the budget is {LINES}: split it"
            ));
        }
        if Path::new(&file)
            .extension()
            .is_some_and(|kind| kind == "rs")
        {
            sources.push((file, text));
        }
    }
    trouble.extend(crowded(&sources)?);
    if trouble.is_empty() {
        return Ok(Count::ONE);
    }
    Err(anyhow::anyhow!(trouble.join("\n")).into())
}

/// A line for each type with too many methods.
fn crowded(sources: &[methods::Source]) -> anyhow::Result<Vec<String>> {
    let counts = methods::counted(sources)?.into_iter();
    let crowded = counts.filter(|(_, methods)| *methods > METHODS);
    let line = |((file, name), methods)| {
        format!(
            "{file}: {name} has {methods} methods; the budget is {METHODS}: give what belongs together a type of its own"
        )
    };
    Ok(crowded.map(line).collect())
}

/// The files of the checkout that are under version control or would be.
pub(crate) fn tracked(context: &StepContext) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(context.root())
        .output()
        .context("git is missing")?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let exists = |name: &&str| context.root().join(name).is_file();
    Ok(names.lines().filter(exists).map(str::to_owned).collect())
}

/// A file of the checkout as text; what is not UTF-8 is replaced.
pub(crate) fn read(context: &StepContext, file: &str) -> anyhow::Result<String> {
    let bytes =
        std::fs::read(context.root().join(file)).with_context(|| format!("reading {file}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{METHODS, crowded};

    fn planted(methods: usize) -> Vec<String> {
        use std::fmt::Write as _;
        let mut text = "struct Planted; impl Planted {".to_owned();
        for number in 0..methods {
            write!(text, " fn f{number}(&self) {{}}").unwrap();
        }
        text.push('}');
        crowded(&[("planted/src/lib.rs".to_owned(), text)]).unwrap()
    }

    #[test]
    fn a_type_with_too_many_methods_is_found() {
        assert!(planted(METHODS).is_empty());
        let found = planted(METHODS + 1);
        let [line] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(
            line.starts_with("planted/src/lib.rs: Planted has 41 methods"),
            "{line}"
        );
    }
}
