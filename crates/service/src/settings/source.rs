//! A settings file and an environment, what was asked of them, and every mistake found so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::config_error::{ConfigError, Location};
use super::environment::{FILE_VARIABLE, is_service_link, variable};
use super::reference::{self, Entry};
use super::tree::{self, Node, Value};

/// Where settings come from. What is noted goes through a shared reference, since sections borrow the source.
#[derive(Debug)]
pub(super) struct Source {
    file: Option<PathBuf>,
    root: BTreeMap<String, Node>,
    env: BTreeMap<String, String>,
    /// Whether it only collects the reference: then nothing is set and nothing is a mistake.
    describing: bool,
    findings: RefCell<Findings>,
}

#[derive(Debug, Default)]
struct Findings {
    errors: Vec<ConfigError>,
    entries: Vec<Entry>,
    /// Keys and variables that the file and the environment may have.
    keys: BTreeSet<String>,
    variables: BTreeSet<String>,
    sections: BTreeSet<String>,
    /// Tables that were refused as a whole: what is in them is not looked at.
    refused: BTreeSet<String>,
}

impl Source {
    /// A file that cannot be read is a mistake like others.
    pub(super) fn open(file: Option<&Path>, env: BTreeMap<String, String>) -> Self {
        let (root, errors) = file.map(tree::read).unwrap_or_default();
        let findings = Findings {
            errors,
            ..Findings::default()
        };
        Self {
            file: file.map(Path::to_owned),
            root,
            env,
            describing: false,
            findings: RefCell::new(findings),
        }
    }

    /// One that only collects what is asked for.
    pub(super) fn describing() -> Self {
        Self {
            describing: true,
            ..Self::open(None, BTreeMap::new())
        }
    }

    pub(super) fn is_describing(&self) -> bool {
        self.describing
    }

    /// The mistakes noted so far; they are taken out.
    pub(super) fn take_errors(&self) -> Vec<ConfigError> {
        std::mem::take(&mut self.findings.borrow_mut().errors)
    }

    /// Everything that was asked for, as Markdown tables.
    pub(super) fn reference(&self) -> String {
        reference::render(&self.findings.borrow().entries)
    }

    /// A section that the file may have.
    pub(super) fn note_section(&self, name: &str) {
        self.findings.borrow_mut().sections.insert(name.to_owned());
    }

    /// A variable that the environment may have.
    pub(super) fn note_variable(&self, name: &str) {
        self.findings.borrow_mut().variables.insert(name.to_owned());
    }

    pub(super) fn note(&self, error: ConfigError) {
        if !self.describing {
            self.findings.borrow_mut().errors.push(error);
        }
    }

    pub(super) fn register(&self, entry: Entry) {
        let mut findings = self.findings.borrow_mut();
        findings.keys.insert(entry.key.clone());
        findings.variables.insert(entry.variable.clone());
        findings.entries.push(entry);
    }

    /// The names by which a secret can also be given.
    pub(super) fn register_clear(&self, key: &str) {
        let mut findings = self.findings.borrow_mut();
        findings.keys.insert(key.to_owned());
        findings.variables.insert(variable(key));
    }

    /// The value of a variable; an empty one is not set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The value of a dotted key in the file.
    pub(super) fn node(&self, key: &str) -> Option<&Node> {
        let mut parts = key.split('.');
        let mut node = self.root.get(parts.next()?)?;
        for part in parts {
            match &node.value {
                Value::Table(table) => node = table.get(part)?,
                Value::List(_) | Value::Scalar(_) => return None,
            }
        }
        Some(node)
    }

    pub(super) fn location(&self, line: usize) -> Location {
        self.file
            .as_deref()
            .map_or(Location::Nowhere, |path| Location::file(path, line))
    }

    /// A table that is refused as a whole.
    pub(super) fn refuse(&self, path: &str) {
        self.findings.borrow_mut().refused.insert(path.to_owned());
    }

    /// Keys and variables that nobody asked for.
    pub(super) fn unknown(&self) -> Vec<ConfigError> {
        let mut errors = self.unknown_keys(&self.root, "");
        errors.extend(self.unknown_variables());
        errors
    }

    fn unknown_keys(&self, table: &BTreeMap<String, Node>, prefix: &str) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for (key, node) in table {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            let findings = self.findings.borrow();
            if findings.keys.contains(&path) || findings.refused.contains(&path) {
                continue;
            }
            match &node.value {
                Value::Table(inner) if findings.sections.contains(&path) => {
                    errors.extend(self.unknown_keys(inner, &path));
                }
                Value::Table(_) => {
                    let nearest = nearest(&path, findings.sections.iter());
                    errors.push(ConfigError::unknown(
                        self.location(node.line),
                        &path,
                        nearest,
                    ));
                }
                Value::List(_) | Value::Scalar(_) => {
                    let nearest = nearest(&path, findings.entries.iter().map(|entry| &entry.key));
                    errors.push(ConfigError::unknown(
                        self.location(node.line),
                        &path,
                        nearest,
                    ));
                }
            }
        }
        errors
    }

    fn unknown_variables(&self) -> Vec<ConfigError> {
        let findings = self.findings.borrow();
        self.env
            .iter()
            .filter(|(name, value)| {
                !findings.variables.contains(*name)
                    && name.as_str() != FILE_VARIABLE
                    && !is_service_link(name, value)
            })
            .map(|(name, _)| {
                let nearest = nearest(name, findings.variables.iter());
                ConfigError::unknown(Location::Variable(name.clone()), name, nearest)
            })
            .collect()
    }
}

/// The known name that is most like `name`, if any is like it.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(name, candidate),
                candidate.as_str(),
            )
        })
        .filter(|(distance, _)| *distance <= 2.max(name.len() / 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
