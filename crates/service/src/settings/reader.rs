//! Reads settings section by section, and reports all mistakes at the end.

use std::collections::BTreeMap;
use std::path::Path;

use super::config_error::{ConfigError, ConfigErrors, Location};
use super::environment::variable;
use super::section::Section;
use super::source::Source;
use super::tree::Value;
use super::value_type::ValueType;

/// Where settings come from, and everything that was found wrong with them so far.
#[derive(Debug)]
pub struct Reader {
    source: Source,
}

impl Reader {
    /// Opens a settings file, if there is one, under an environment. A file that cannot be read is a mistake that
    /// [`Reader::finish`] reports.
    #[must_use]
    pub fn open(file: Option<&Path>, env: BTreeMap<String, String>) -> Self {
        Self {
            source: Source::open(file, env),
        }
    }

    /// A reader that only collects what is asked for, to make the [reference](Self::reference).
    #[must_use]
    pub fn describing() -> Self {
        Self {
            source: Source::describing(),
        }
    }

    /// The keys that stand above all sections.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section::new(&self.source, String::new())
    }

    /// The section `[name]`.
    pub fn section(&self, name: &str) -> Section<'_> {
        Section::open(&self.source, name.to_owned())
    }

    /// Reads each section `[name.<id>]`, in the order of their ids. `HUBKEY_<NAME>` may list further ids, so that all of
    /// a section can come from the environment. An id that is not of the type is a mistake.
    pub fn tables<K: ValueType, T>(
        &self,
        name: &str,
        id: &K,
        read: impl Fn(&Section<'_>) -> Option<T>,
    ) -> Vec<(K::Value, T)> {
        self.source.note_section(name);
        if self.source.is_describing() {
            read(&self.section(&format!("{name}.<id>")));
        }
        let mut seen = BTreeMap::new();
        self.table_ids(name)
            .into_iter()
            .filter_map(|(text, location)| {
                let path = format!("{name}.{text}");
                let value = self.table_id(&path, &text, &location, id)?;
                self.refuse_duplicates(&mut seen, &path, location)?;
                Some((value, read(&self.section(&path))?))
            })
            .collect()
    }

    /// As [`Reader::tables`]; that there is no such section at all is a mistake.
    pub fn required_tables<K: ValueType, T>(
        &self,
        name: &str,
        id: &K,
        read: impl Fn(&Section<'_>) -> Option<T>,
    ) -> Vec<(K::Value, T)> {
        let tables = self.tables(name, id, read);
        if self.source.node(name).is_none() && self.source.variable(&variable(name)).is_none() {
            let sentence = format!("there is no section [{name}.<id>]; add one to the file.");
            self.source
                .note(ConfigError::new(Location::Nowhere, sentence));
        }
        tables
    }

    /// Reports everything that is wrong, also keys and variables that nobody asked for.
    pub fn finish(&self) -> Result<(), ConfigErrors> {
        let mut errors = self.source.take_errors();
        let file_is_broken = errors.iter().any(ConfigError::is_about_file);
        errors.extend(self.source.unknown());
        if file_is_broken {
            // What is missing or odd may only be so because the rest of the file could not be understood.
            errors.retain(|error| !error.follows_from_file());
        }
        errors.sort_by(|a, b| a.order().cmp(&b.order()));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors::new(errors))
        }
    }

    /// Everything that was asked for, as Markdown tables.
    #[must_use]
    pub fn reference(&self) -> String {
        self.source.reference()
    }

    fn table_ids(&self, name: &str) -> BTreeMap<String, Location> {
        let list = variable(name);
        self.source.note_variable(&list);
        let mut ids: BTreeMap<_, _> = self
            .source
            .variable(&list)
            .into_iter()
            .flat_map(|ids| ids.split(',').map(str::trim).filter(|id| !id.is_empty()))
            .map(|id| (id.to_owned(), Location::Variable(list.clone())))
            .collect();
        match self.source.node(name).map(|node| (node.line, &node.value)) {
            Some((_, Value::Table(table))) => {
                ids.extend(
                    table
                        .iter()
                        .map(|(id, node)| (id.clone(), self.source.location(node.line))),
                );
            }
            Some((line, Value::List(_) | Value::Scalar(_))) => {
                self.source.refuse(name);
                let expected = format!("sections such as [{name}.<id>]");
                self.source.note(ConfigError::wrong(
                    self.source.location(line),
                    name,
                    "a single value",
                    &expected,
                ));
            }
            None => {}
        }
        ids
    }

    fn table_id<K: ValueType>(
        &self,
        path: &str,
        text: &str,
        location: &Location,
        id: &K,
    ) -> Option<K::Value> {
        let is_section = self
            .source
            .node(path)
            .is_none_or(|node| matches!(node.value, Value::Table(_)));
        let value = id.read(text);
        if value.is_none() {
            let sentence = format!(
                "the name of the section [{path}] must be {}.",
                id.expected()
            );
            self.source
                .note(ConfigError::new(location.clone(), sentence));
        } else if !is_section {
            let expected = format!("a section: [{path}]");
            self.source.note(ConfigError::wrong(
                location.clone(),
                path,
                "a single value",
                &expected,
            ));
        }
        if value.is_none() || !is_section {
            self.source.refuse(path);
        }
        value.filter(|_| is_section)
    }

    fn refuse_duplicates(
        &self,
        seen: &mut BTreeMap<String, String>,
        path: &str,
        location: Location,
    ) -> Option<()> {
        if let Some(other) = seen.insert(variable(path), path.to_owned()) {
            let sentence = format!(
                "the sections [{other}] and [{path}] share their environment variables; rename one."
            );
            self.source.note(ConfigError::new(location, sentence));
            self.source.refuse(path);
            return None;
        }
        Some(())
    }
}
