//! Reads a file and an environment, keeps every mistake, and remembers what was asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::FILE_VARIABLE;
use super::environment::{is_service_link, variable};
use super::kind::Kind;
use super::mistake::{Mistake, Mistakes, Place};
use super::reference::{self, Entry};
use super::section::Section;
use super::tree::{self, Node, Value};

/// Where settings come from, and everything that was found wrong with them so far.
#[derive(Debug)]
pub struct Reader {
    pub(super) file: Option<PathBuf>,
    root: BTreeMap<String, Node>,
    env: BTreeMap<String, String>,
    /// Whether it only collects the reference: then nothing is set and nothing is a mistake.
    pub(super) describing: bool,
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

impl Reader {
    /// Opens a settings file, if there is one, under an environment. A file that cannot be read is a mistake that
    /// [`Reader::finish`] tells.
    #[must_use]
    pub fn open(file: Option<&Path>, env: BTreeMap<String, String>) -> Self {
        let (root, mistakes) = file.map(tree::read).unwrap_or_default();
        let book = Book {
            mistakes,
            ..Book::default()
        };
        let file = file.map(Path::to_owned);
        Self {
            file,
            root,
            env,
            describing: false,
            book: RefCell::new(book),
        }
    }

    /// A reader that only collects what is asked for, to make the [reference](Self::reference).
    #[must_use]
    pub fn describing() -> Self {
        Self {
            describing: true,
            ..Self::open(None, BTreeMap::new())
        }
    }

    /// The keys that stand above all sections.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section::new(self, String::new())
    }

    /// The section `[name]`.
    pub fn section(&self, name: &str) -> Section<'_> {
        self.book.borrow_mut().sections.insert(name.to_owned());
        Section::new(self, name.to_owned())
    }

    /// Reads each section `[name.<id>]`, in the order of their ids. `HUBKEY_<NAME>` may list further ids, so that all of
    /// a section can come from the environment. An id that is not of the kind is a mistake.
    pub fn tables<K: Kind, T>(
        &self,
        name: &str,
        id: &K,
        read: impl Fn(&Section<'_>) -> Option<T>,
    ) -> Vec<(K::Value, T)> {
        self.book.borrow_mut().sections.insert(name.to_owned());
        if self.describing {
            read(&self.section(&format!("{name}.<id>")));
        }
        let mut seen = BTreeMap::new();
        self.table_ids(name)
            .into_iter()
            .filter_map(|(text, place)| {
                let path = format!("{name}.{text}");
                let value = self.table_id(&path, &text, &place, id)?;
                self.refuse_twins(&mut seen, &path, place)?;
                Some((value, read(&self.section(&path))?))
            })
            .collect()
    }

    /// As [`Reader::tables`]; that there is no such section at all is a mistake.
    pub fn required_tables<K: Kind, T>(
        &self,
        name: &str,
        id: &K,
        read: impl Fn(&Section<'_>) -> Option<T>,
    ) -> Vec<(K::Value, T)> {
        let tables = self.tables(name, id, read);
        if self.node(name).is_none() && self.variable(&variable(name)).is_none() {
            let sentence = format!("there is no section [{name}.<id>]; add one to the file.");
            self.note(Mistake::new(Place::Nowhere, sentence));
        }
        tables
    }

    /// Tells everything that is wrong, also keys and variables that nobody asked for.
    pub fn finish(&self) -> Result<(), Mistakes> {
        let mut mistakes = std::mem::take(&mut self.book.borrow_mut().mistakes);
        let file_is_broken = mistakes.iter().any(Mistake::is_about_file);
        mistakes.extend(self.unknown_keys(&self.root, ""));
        mistakes.extend(self.unknown_variables());
        if file_is_broken {
            // What is missing or odd may only be so because the rest of the file could not be understood.
            mistakes.retain(|mistake| !mistake.follows_from_file());
        }
        mistakes.sort_by(|a, b| a.order().cmp(&b.order()));
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(Mistakes::new(mistakes))
        }
    }

    /// Everything that was asked for, as Markdown tables.
    #[must_use]
    pub fn reference(&self) -> String {
        reference::render(&self.book.borrow().entries)
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

    fn table_ids(&self, name: &str) -> BTreeMap<String, Place> {
        let list = variable(name);
        self.book.borrow_mut().variables.insert(list.clone());
        let mut ids: BTreeMap<_, _> = self
            .variable(&list)
            .into_iter()
            .flat_map(|ids| ids.split(',').map(str::trim).filter(|id| !id.is_empty()))
            .map(|id| (id.to_owned(), Place::Variable(list.clone())))
            .collect();
        match self.node(name).map(|node| (node.line, &node.value)) {
            Some((_, Value::Table(table))) => {
                ids.extend(
                    table
                        .iter()
                        .map(|(id, node)| (id.clone(), self.place(node.line))),
                );
            }
            Some((line, Value::List(_) | Value::Scalar(_))) => {
                self.refuse(name);
                let words = format!("sections such as [{name}.<id>]");
                self.note(Mistake::wrong(
                    self.place(line),
                    name,
                    "a single value",
                    &words,
                ));
            }
            None => {}
        }
        ids
    }

    fn table_id<K: Kind>(&self, path: &str, text: &str, place: &Place, id: &K) -> Option<K::Value> {
        let is_section = self
            .node(path)
            .is_none_or(|node| matches!(node.value, Value::Table(_)));
        let value = id.read(text);
        if value.is_none() {
            let sentence = format!("the name of the section [{path}] must be {}.", id.words());
            self.note(Mistake::new(place.clone(), sentence));
        } else if !is_section {
            let words = format!("a section: [{path}]");
            self.note(Mistake::wrong(
                place.clone(),
                path,
                "a single value",
                &words,
            ));
        }
        if value.is_none() || !is_section {
            self.refuse(path);
        }
        value.filter(|_| is_section)
    }

    fn refuse_twins(
        &self,
        seen: &mut BTreeMap<String, String>,
        path: &str,
        place: Place,
    ) -> Option<()> {
        if let Some(other) = seen.insert(variable(path), path.to_owned()) {
            let sentence = format!(
                "the sections [{other}] and [{path}] share their environment variables; rename one."
            );
            self.note(Mistake::new(place, sentence));
            self.refuse(path);
            return None;
        }
        Some(())
    }

    fn refuse(&self, path: &str) {
        self.book.borrow_mut().refused.insert(path.to_owned());
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
