//! The keys of one section.

use std::path::Path;

use super::config_error::{ConfigError, Location};
use super::environment::variable;
use super::reference::{Default, Entry};
use super::source::Source;
use super::tree::Value;
use super::value_type::ValueType;

/// One section of the settings. Each method reads one key and notes it for the reference; `about` is one sentence.
#[derive(Debug)]
pub struct Section<'r> {
    source: &'r Source,
    /// The dotted name of the section; empty for the keys above all sections.
    path: String,
}

/// A value as it was found.
enum RawValue {
    Absent,
    Text(Location, String),
    List(Location, Vec<String>),
    /// Of a shape that no setting has.
    Other(Location),
}

impl<'r> Section<'r> {
    /// The keys under a path, which is empty above all sections.
    pub(super) fn new(source: &'r Source, path: String) -> Self {
        Self { source, path }
    }

    /// The section of this dotted name; from now on the file may have it.
    pub(super) fn open(source: &'r Source, path: String) -> Self {
        source.note_section(&path);
        Self::new(source, path)
    }

    /// The section `[this.name]`.
    #[must_use]
    pub fn section(&self, name: &str) -> Self {
        Self::open(self.source, self.dotted(name))
    }

    /// A key that has to be set. `None` after a mistake.
    pub fn required<K: ValueType>(
        &self,
        key: &str,
        value_type: &K,
        about: &str,
    ) -> Option<K::Value> {
        self.register(key, &value_type.expected(), Default::Required, about);
        match self.scalar(key, value_type) {
            Ok(Some(value)) => Some(value),
            Ok(None) => {
                self.note_missing(key, &value_type.expected());
                None
            }
            Err(()) => None,
        }
    }

    /// A key that may be left out. `None` if it is, or after a mistake.
    pub fn optional<K: ValueType>(
        &self,
        key: &str,
        value_type: &K,
        about: &str,
    ) -> Option<K::Value> {
        self.register(key, &value_type.expected(), Default::None, about);
        self.scalar(key, value_type).ok().flatten()
    }

    /// A key with a default.
    pub fn or<K: ValueType>(
        &self,
        key: &str,
        value_type: &K,
        default: K::Value,
        about: &str,
    ) -> K::Value {
        self.register(
            key,
            &value_type.expected(),
            Default::Value(value_type.show(&default)),
            about,
        );
        self.scalar(key, value_type)
            .ok()
            .flatten()
            .unwrap_or(default)
    }

    /// A list that is empty unless set: `["a", "b"]` in the file, `a,b` in the environment.
    pub fn list<K: ValueType>(&self, key: &str, value_type: &K, about: &str) -> Vec<K::Value> {
        self.list_or(key, value_type, Vec::new(), about)
    }

    /// A list with a default.
    pub fn list_or<K: ValueType>(
        &self,
        key: &str,
        value_type: &K,
        default: Vec<K::Value>,
        about: &str,
    ) -> Vec<K::Value> {
        let expected = format!("a list in which each entry is {}", value_type.expected());
        let shown: Vec<_> = default.iter().map(|value| value_type.show(value)).collect();
        self.register(
            key,
            &expected,
            Default::Value(format!("[{}]", shown.join(", "))),
            about,
        );
        let (location, texts) = match self.find(key, true) {
            RawValue::Absent => return default,
            RawValue::List(location, texts) => (location, texts),
            RawValue::Text(location, text) => {
                self.note_wrong(location, key, &shown_text(&text), &expected);
                return default;
            }
            RawValue::Other(location) => {
                self.note_wrong(location, key, "not a list of single values", &expected);
                return default;
            }
        };
        texts
            .iter()
            .filter_map(|text| self.read(key, value_type, location.clone(), text).ok())
            .collect()
    }

    /// A secret that has to be given. `None` after a mistake.
    pub fn secret<T>(&self, key: &str, make: impl FnOnce(String) -> T, about: &str) -> Option<T> {
        self.register_secret(key, Default::Required, about);
        match self.secret_text(key) {
            Ok(Some(text)) => Some(make(text)),
            Ok(None) => {
                let file = format!("{key}_file");
                self.note_missing(&file, "the path of a file that holds the secret");
                None
            }
            Err(()) => None,
        }
    }

    /// A secret that may be left out. `None` if it is, or after a mistake.
    pub fn optional_secret<T>(
        &self,
        key: &str,
        make: impl FnOnce(String) -> T,
        about: &str,
    ) -> Option<T> {
        self.register_secret(key, Default::None, about);
        self.secret_text(key).ok().flatten().map(make)
    }

    /// Notes that a key's value does not fit, at the place where it is set. The sentence says what to do.
    pub fn fail(&self, key: &str, sentence: &str) {
        let location = match self.find(key, false) {
            RawValue::Text(location, _)
            | RawValue::List(location, _)
            | RawValue::Other(location) => location,
            RawValue::Absent => Location::Nowhere,
        };
        let sentence = format!("`{}`: {sentence}", self.dotted(key));
        self.source.note(ConfigError::new(location, sentence));
    }

    /// The dotted name of a key, as messages show it.
    #[must_use]
    pub fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn register(&self, key: &str, expected: &str, default: Default, about: &str) {
        let key = self.dotted(key);
        let variable = variable(&key);
        let section = self.path.clone();
        let (expected, about) = (expected.to_owned(), about.to_owned());
        self.source.register(Entry {
            section,
            key,
            variable,
            expected,
            default,
            about,
        });
    }

    fn register_secret(&self, key: &str, default: Default, about: &str) {
        let clear = self.dotted(key);
        let about = format!(
            "{about} The secret itself may be in `{}` instead.",
            variable(&clear)
        );
        self.register(
            &format!("{key}_file"),
            "the path of a file that holds the secret",
            default,
            &about,
        );
        self.source.register_clear(&clear);
    }

    fn find(&self, key: &str, list: bool) -> RawValue {
        let key = self.dotted(key);
        let name = variable(&key);
        if let Some(text) = self.source.variable(&name) {
            let location = Location::Variable(name);
            return if list {
                RawValue::List(
                    location,
                    text.split(',').map(|item| item.trim().to_owned()).collect(),
                )
            } else {
                RawValue::Text(location, text.to_owned())
            };
        }
        let Some(node) = self.source.node(&key) else {
            return RawValue::Absent;
        };
        let location = self.source.location(node.line);
        match &node.value {
            Value::Scalar(text) => RawValue::Text(location, text.clone()),
            Value::Table(_) => RawValue::Other(location),
            Value::List(nodes) => {
                let texts = nodes.iter().map(|node| match &node.value {
                    Value::Scalar(text) => Some(text.clone()),
                    Value::List(_) | Value::Table(_) => None,
                });
                let texts: Option<Vec<_>> = texts.collect();
                texts.map_or(RawValue::Other(location.clone()), |texts| {
                    RawValue::List(location, texts)
                })
            }
        }
    }

    /// Reads a single value; `Err` once a mistake was noted.
    fn scalar<K: ValueType>(&self, key: &str, value_type: &K) -> Result<Option<K::Value>, ()> {
        match self.find(key, false) {
            RawValue::Absent => Ok(None),
            RawValue::Text(location, text) => self.read(key, value_type, location, &text).map(Some),
            RawValue::List(location, _) | RawValue::Other(location) => {
                self.note_wrong(location, key, "not a single value", &value_type.expected());
                Err(())
            }
        }
    }

    fn read<K: ValueType>(
        &self,
        key: &str,
        value_type: &K,
        location: Location,
        text: &str,
    ) -> Result<K::Value, ()> {
        value_type.read(text).ok_or_else(|| {
            self.note_wrong(location, key, &shown_text(text), &value_type.expected());
        })
    }

    fn secret_text(&self, key: &str) -> Result<Option<String>, ()> {
        let clear = self.dotted(key);
        let file_key = format!("{key}_file");
        if let Some(node) = self.source.node(&clear) {
            let sentence = format!(
                "`{clear}` is a secret in clear; write it into a file of its own and name that file in `{clear}_file`."
            );
            self.source
                .note(ConfigError::new(self.source.location(node.line), sentence));
            return Err(());
        }
        let name = variable(&clear);
        let from_file = self.find(&file_key, false);
        match (self.source.variable(&name), from_file) {
            (Some(_), RawValue::Text(location @ Location::Variable(_), _)) => {
                let sentence = format!("{name} and {name}_FILE are both set; remove one of them.");
                self.source.note(ConfigError::new(location, sentence));
                Err(())
            }
            (Some(text), _) => Ok(Some(text.to_owned())),
            (None, RawValue::Absent) => Ok(None),
            (None, RawValue::Text(location, path)) => {
                self.secret_file(&file_key, location, &path).map(Some)
            }
            (None, RawValue::List(location, _) | RawValue::Other(location)) => {
                self.note_wrong(
                    location,
                    &file_key,
                    "not a single value",
                    "the path of a file",
                );
                Err(())
            }
        }
    }

    /// Reads a file that holds a secret. Messages name neither the content nor the path: the path may be the secret
    /// that somebody wrote into the wrong key.
    fn secret_file(&self, key: &str, location: Location, path: &str) -> Result<String, ()> {
        let what = match std::fs::read_to_string(Path::new(path)) {
            Ok(text) if text.trim().is_empty() => "names a file that is empty".to_owned(),
            Ok(text) => return Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => format!("names a file that cannot be read ({})", error.kind()),
        };
        let sentence = format!(
            "`{}` {what}; name a file that holds the secret.",
            self.dotted(key)
        );
        self.source.note(ConfigError::new(location, sentence));
        Err(())
    }

    fn note_missing(&self, key: &str, expected: &str) {
        let key = self.dotted(key);
        self.source
            .note(ConfigError::missing(&key, &variable(&key), expected));
    }

    fn note_wrong(&self, location: Location, key: &str, found: &str, expected: &str) {
        self.source.note(ConfigError::wrong(
            location,
            &self.dotted(key),
            found,
            expected,
        ));
    }
}

/// A found text as a message shows it: quoted, cut, and without the user and password of a URL.
fn shown_text(text: &str) -> String {
    let shown = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://…{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    };
    let cut: String = shown.chars().take(60).collect();
    let dots = if cut.len() < shown.len() { "…" } else { "" };
    format!("{:?}", cut + dots)
}
