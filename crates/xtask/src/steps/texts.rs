//! What the texts name exists, and what exists is named where people look for it.
//!
//! A text that names a file, a test or a metric which is gone misleads more than no text. So every path, link and test
//! in a Markdown file has to exist, and every metric, audit event and error code has to be in its table.

use std::collections::BTreeSet;
use std::path::Path;

use super::budget::{read, tracked};
use super::{Outcome, StepContext, generated};
use crate::report::Count;

const TEST_PREFIXES: [&str; 7] = [
    "security_",
    "feature_",
    "need_",
    "first_",
    "found_",
    "invariant_",
    "test_",
];
const SOURCE_KINDS: [&str; 6] = ["rs", "py", "lua", "html", "sh", "md"];

pub(crate) fn run(context: &StepContext) -> Outcome {
    let known = Known::read(context)?;
    let mut trouble = Vec::new();
    for text in known.files.iter().filter(|file| kind(file) == "md") {
        let lines = read(context, text)?;
        let folder = Path::new(text).parent().unwrap_or(Path::new(""));
        let folder = context.root().join(folder);
        for mention in mentions(&lines) {
            if let Some(complaint) = known.complaint(&mention, &folder) {
                trouble.push(format!("{text}:{}: {complaint}", mention.line));
            }
        }
    }
    trouble.extend(generated::stale(context)?);
    if trouble.is_empty() {
        return Ok(Count::ONE);
    }
    Err(anyhow::anyhow!(trouble.join("\n")).into())
}

/// Something that a text names.
#[derive(Debug, PartialEq, Eq)]
struct Mention {
    line: usize,
    /// Whether it is the target of a link; else it stands in backticks.
    is_link: bool,
    name: String,
}

/// The names in backticks and the targets of links, outside of code blocks.
fn mentions(text: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let spans = line.split('`').skip(1).step_by(2).map(|name| (false, name));
            let links = line
                .split("](")
                .skip(1)
                .filter_map(|rest| Some((true, rest.split_once(')')?.0)));
            found.extend(spans.chain(links).map(|(is_link, name)| Mention {
                line: number + 1,
                is_link,
                name: name.to_owned(),
            }));
        }
    }
    found
}

/// What there is to be named.
struct Known {
    files: Vec<String>,
    top: BTreeSet<String>,
    base_names: BTreeSet<String>,
    tests: BTreeSet<String>,
}

impl Known {
    fn read(context: &StepContext) -> anyhow::Result<Self> {
        let files = tracked(context)?;
        let first = |file: &String| file.split('/').next().unwrap_or_default().to_owned();
        let last = |file: &String| file.rsplit('/').next().unwrap_or_default().to_owned();
        let mut tests = BTreeSet::new();
        for file in &files {
            if ["rs", "py"].contains(&kind(file)) {
                tests.extend(functions(&read(context, file)?));
            }
        }
        Ok(Self {
            top: files.iter().map(first).collect(),
            base_names: files.iter().map(last).collect(),
            files,
            tests,
        })
    }

    /// What is wrong with a name; nothing where it is no name of ours.
    fn complaint(&self, mention: &Mention, folder: &Path) -> Option<String> {
        let name = mention.name.as_str();
        let there = if mention.is_link {
            let target = name.split('#').next().unwrap_or_default();
            target.is_empty() || target.contains("://") || folder.join(target).exists()
        } else if is_test(name) {
            self.has_test(name)
        } else if self.is_path(name) {
            self.has_path(name) || folder.join(name).exists()
        } else {
            !is_source(name) || self.base_names.contains(name)
        };
        (!there).then(|| format!("`{name}` does not exist; correct the text"))
    }

    /// Python's tests carry a further `test_` in front, which texts leave out.
    fn has_test(&self, name: &str) -> bool {
        let named = |test: &str| match name.strip_suffix('…') {
            Some(start) => test.starts_with(start),
            None => test == name,
        };
        self.tests
            .iter()
            .any(|test| named(test) || test.strip_prefix("test_").is_some_and(named))
    }

    fn is_path(&self, name: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let first = name.split('/').next().unwrap_or_default();
        name.contains('/') && name.chars().all(plain) && self.top.contains(first)
    }

    fn has_path(&self, name: &str) -> bool {
        let folder = format!("{}/", name.trim_end_matches('/'));
        self.files
            .iter()
            .any(|file| file == name || file.starts_with(&folder))
    }
}

fn is_test(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_…".contains(c);
    TEST_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix) && name != *prefix)
        && name.chars().all(plain)
}

fn is_source(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.chars().all(plain) && !name.starts_with('.') && SOURCE_KINDS.contains(&kind(name))
}

/// What stands behind the last dot of a name.
fn kind(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, kind)| kind)
}

/// The names of the functions in a file of Rust or Python.
fn functions(source: &str) -> impl Iterator<Item = String> {
    source.lines().filter_map(|line| {
        let line = line.trim_start();
        let (_, rest) = line.split_once("fn ").or_else(|| line.split_once("def "))?;
        let end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        Some(rest.split(end).next()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            files: vec!["docs/a.md".to_owned(), "crates/x/src/lib.rs".to_owned()],
            top: ["docs", "crates"].map(str::to_owned).into(),
            base_names: ["a.md", "lib.rs"].map(str::to_owned).into(),
            tests: functions("async fn security_k1_alice() {\n    def test_need_5_x(self):")
                .collect(),
        }
    }

    fn complaints(text: &str) -> Vec<String> {
        let wrong = |mention: Mention| {
            let complaint = known().complaint(&mention, Path::new("nowhere"));
            complaint.map(|_| mention.name)
        };
        mentions(text).into_iter().filter_map(wrong).collect()
    }

    #[test]
    fn names_of_what_is_gone_are_found() {
        let text =
            "`crates/x/src/gone.rs` `docs/gone/` `gone.rs` `security_k9_gone` [a](gone.md)\n";
        let gone = [
            "crates/x/src/gone.rs",
            "docs/gone/",
            "gone.rs",
            "security_k9_gone",
            "gone.md",
        ];
        assert_eq!(complaints(text), gone);
    }

    #[test]
    fn names_of_what_is_there_or_not_ours_pass() {
        let text = "`crates/x/src/` `docs/a.md` `lib.rs` `security_k1_…` `need_5_x` `/v1/sign-ins` `a b.rs`\n\
            [w](https://example.org) [s](#part)\n```\n`crates/gone.rs`\n```\n";
        assert_eq!(complaints(text), Vec::<String>::new());
    }
}
