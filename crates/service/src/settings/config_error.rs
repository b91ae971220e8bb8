//! What is wrong with the settings, said so that an operator can put it right.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    File { path: PathBuf, line: usize },
    Variable(String),
    Nowhere,
}

impl Location {
    pub(super) fn file(path: &Path, line: usize) -> Self {
        Self::File {
            path: path.to_owned(),
            line,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}: ", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}: "),
            Self::Nowhere => Ok(()),
        }
    }
}

/// One thing that is wrong with the settings. Displays as a full sentence that never shows a secret.
#[derive(Debug, Clone)]
pub struct ConfigError {
    location: Location,
    sentence: String,
    /// Whether the file as a whole could not be understood.
    is_about_file: bool,
}

impl ConfigError {
    pub(super) fn new(location: Location, sentence: impl Into<String>) -> Self {
        Self {
            location,
            sentence: sentence.into(),
            is_about_file: false,
        }
    }

    pub(super) fn unreadable_file(path: &Path, error: &io::Error) -> Self {
        let sentence = format!(
            "the settings file {} cannot be read ({error}).",
            path.display()
        );
        Self {
            location: Location::Nowhere,
            sentence,
            is_about_file: true,
        }
    }

    pub(super) fn syntax(location: Location, message: &str) -> Self {
        let sentence = format!("this is not TOML ({message}).");
        Self {
            location,
            sentence,
            is_about_file: true,
        }
    }

    pub(super) fn missing(key: &str, variable: &str, expected: &str) -> Self {
        let sentence =
            format!("`{key}` is missing; set it in the file or as {variable} to {expected}.");
        Self::new(Location::Nowhere, sentence)
    }

    pub(super) fn wrong(location: Location, key: &str, found: &str, expected: &str) -> Self {
        Self::new(
            location,
            format!("`{key}` is {found}; it must be {expected}."),
        )
    }

    pub(super) fn unknown(location: Location, key: &str, nearest: Option<&str>) -> Self {
        let hint = nearest.map_or_else(
            || "remove it".to_owned(),
            |nearest| format!("the nearest known name is `{nearest}`"),
        );
        let what = match &location {
            Location::Variable(_) => "this".to_owned(),
            Location::File { .. } | Location::Nowhere => format!("`{key}`"),
        };
        Self::new(location, format!("{what} is not a setting; {hint}."))
    }

    pub(super) fn is_about_file(&self) -> bool {
        self.is_about_file
    }

    /// Whether it may vanish once the file as a whole is put right.
    pub(super) fn follows_from_file(&self) -> bool {
        !self.is_about_file && !matches!(self.location, Location::Variable(_))
    }

    pub(super) fn order(&self) -> (u8, usize, &str) {
        match &self.location {
            Location::File { line, .. } => (0, *line, &self.sentence),
            Location::Variable(name) => (1, 0, name),
            Location::Nowhere => (2, 0, &self.sentence),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.location, self.sentence)
    }
}

/// Everything that is wrong with the settings. Displays as a numbered list.
#[derive(Debug, Clone)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn new(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }

    pub(super) fn unexplained() -> Self {
        let sentence =
            "the settings are incomplete; please report this message as a fault in hubkey.";
        Self(vec![ConfigError::new(Location::Nowhere, sentence)])
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "There is 1 mistake in the settings:")?,
            count => write!(f, "There are {count} mistakes in the settings:")?,
        }
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "\n{:>3}. {error}", index + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
