//! What is wrong with the settings, said so that an operator can put it right.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File { path: PathBuf, line: usize },
    Variable(String),
    Nowhere,
}

impl Place {
    pub(super) fn file(path: &Path, line: usize) -> Self {
        Self::File {
            path: path.to_owned(),
            line,
        }
    }
}

impl fmt::Display for Place {
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
pub struct Mistake {
    place: Place,
    sentence: String,
    /// Whether the file as a whole could not be understood.
    is_about_file: bool,
}

impl Mistake {
    pub(super) fn new(place: Place, sentence: impl Into<String>) -> Self {
        Self {
            place,
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
            place: Place::Nowhere,
            sentence,
            is_about_file: true,
        }
    }

    pub(super) fn syntax(place: Place, message: &str) -> Self {
        let sentence = format!("this is not TOML ({message}).");
        Self {
            place,
            sentence,
            is_about_file: true,
        }
    }

    pub(super) fn missing(key: &str, variable: &str, words: &str) -> Self {
        let sentence =
            format!("`{key}` is missing; set it in the file or as {variable} to {words}.");
        Self::new(Place::Nowhere, sentence)
    }

    pub(super) fn wrong(place: Place, key: &str, found: &str, words: &str) -> Self {
        Self::new(place, format!("`{key}` is {found}; it must be {words}."))
    }

    pub(super) fn unknown(place: Place, key: &str, nearest: Option<&str>) -> Self {
        let hint = nearest.map_or_else(
            || "remove it".to_owned(),
            |nearest| format!("the nearest known name is `{nearest}`"),
        );
        let what = match &place {
            Place::Variable(_) => "this".to_owned(),
            Place::File { .. } | Place::Nowhere => format!("`{key}`"),
        };
        Self::new(place, format!("{what} is not a setting; {hint}."))
    }

    pub(super) fn is_about_file(&self) -> bool {
        self.is_about_file
    }

    /// Whether it may vanish once the file as a whole is put right.
    pub(super) fn follows_from_file(&self) -> bool {
        !self.is_about_file && !matches!(self.place, Place::Variable(_))
    }

    pub(super) fn order(&self) -> (u8, usize, &str) {
        match &self.place {
            Place::File { line, .. } => (0, *line, &self.sentence),
            Place::Variable(name) => (1, 0, name),
            Place::Nowhere => (2, 0, &self.sentence),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.sentence)
    }
}

/// Everything that is wrong with the settings. Displays as a numbered list.
#[derive(Debug, Clone)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn new(mistakes: Vec<Mistake>) -> Self {
        Self(mistakes)
    }

    pub(super) fn unexplained() -> Self {
        let sentence =
            "the settings are incomplete; please report this message as a fault in hubkey.";
        Self(vec![Mistake::new(Place::Nowhere, sentence)])
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "There is 1 mistake in the settings:")?,
            count => write!(f, "There are {count} mistakes in the settings:")?,
        }
        for (index, mistake) in self.0.iter().enumerate() {
            write!(f, "\n{:>3}. {mistake}", index + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
