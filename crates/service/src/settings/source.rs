//! A settings file and an environment, what was asked of them, and every mistake found so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::environment::{FILE_VARIABLE, is_service_link, variable};
use super::mistake::{Mistake, Place};
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
    book: RefCell<Book>,
}

#[derive(Debug, Default)]
struct Book {
    mistakes: Vec<Mistake>,
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
        let (root, mistakes) = file.map(tree::read).unwrap_or_default();
        let book = Book {
            mistakes,
            ..Book::default()
        };
        Self {
            file: file.map(Path::to_owned),
            root,
            env,
            describing: false,
            book: RefCell::new(book),
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
    pub(super) fn take_mistakes(&self) -> Vec<Mistake> {
        std::mem::take(&mut self.book.borrow_mut().mistakes)
    }

    /// Everything that was asked for, as Markdown tables.
    pub(super) fn reference(&self) -> String {
        reference::render(&self.book.borrow().entries)
    }

    /// A section that the file may have.
    pub(super) fn note_section(&self, name: &str) {
        self.book.borrow_mut().sections.insert(name.to_owned());
    }

    /// A variable that the environment may have.
    pub(super) fn note_variable(&self, name: &str) {
        self.book.borrow_mut().variables.insert(name.to_owned());
    }

    pub(super) fn note(&self, mistake: Mistake) {
        if !self.describing {
            self.book.borrow_mut().mistakes.push(mistake);
        }
    }

    pub(super) fn register(&self, entry: Entry) {
        let mut book = self.book.borrow_mut();
        book.keys.insert(entry.key.clone());
        book.variables.insert(entry.variable.clone());
        book.entries.push(entry);
    }

    /// The names by which a secret can also be given.
    pub(super) fn register_clear(&self, key: &str) {
        let mut book = self.book.borrow_mut();
        book.keys.insert(key.to_owned());
        book.variables.insert(variable(key));
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

    pub(super) fn place(&self, line: usize) -> Place {
        self.file
            .as_deref()
            .map_or(Place::Nowhere, |path| Place::file(path, line))
    }

    /// A table that is refused as a whole.
    pub(super) fn refuse(&self, path: &str) {
        self.book.borrow_mut().refused.insert(path.to_owned());
    }

    /// Keys and variables that nobody asked for.
    pub(super) fn unknown(&self) -> Vec<Mistake> {
        let mut mistakes = self.unknown_keys(&self.root, "");
        mistakes.extend(self.unknown_variables());
        mistakes
    }

    fn unknown_keys(&self, table: &BTreeMap<String, Node>, prefix: &str) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (key, node) in table {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            let book = self.book.borrow();
            if book.keys.contains(&path) || book.refused.contains(&path) {
                continue;
            }
            match &node.value {
                Value::Table(inner) if book.sections.contains(&path) => {
                    mistakes.extend(self.unknown_keys(inner, &path));
                }
                Value::Table(_) => {
                    let nearest = nearest(&path, book.sections.iter());
                    mistakes.push(Mistake::unknown(self.place(node.line), &path, nearest));
                }
                Value::List(_) | Value::Scalar(_) => {
                    let nearest = nearest(&path, book.entries.iter().map(|entry| &entry.key));
                    mistakes.push(Mistake::unknown(self.place(node.line), &path, nearest));
                }
            }
        }
        mistakes
    }

    fn unknown_variables(&self) -> Vec<Mistake> {
        let book = self.book.borrow();
        self.env
            .iter()
            .filter(|(name, value)| {
                !book.variables.contains(*name)
                    && name.as_str() != FILE_VARIABLE
                    && !is_service_link(name, value)
            })
            .map(|(name, _)| {
                let nearest = nearest(name, book.variables.iter());
                Mistake::unknown(Place::Variable(name.clone()), name, nearest)
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
