//! The reference of all settings, made from what was read.

use std::fmt::Write as _;

/// One key of the reference.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) variable: String,
    pub(super) expected: String,
    pub(super) default: Default,
    pub(super) about: String,
}

/// What holds when a key is left out.
#[derive(Debug)]
pub(super) enum Default {
    /// It may not be left out.
    Required,
    /// Nothing.
    None,
    Value(String),
}

/// Renders a heading and a table for each section, in the order of reading.
pub(super) fn render(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut sections: Vec<&str> = Vec::new();
    for entry in entries {
        if !sections.contains(&entry.section.as_str()) {
            sections.push(&entry.section);
        }
    }
    for section in sections {
        let rows: String = entries
            .iter()
            .filter(|entry| entry.section == section)
            .map(Entry::row)
            .collect();
        let heading = match section {
            "" => "Above all sections".to_owned(),
            section => format!("`[{section}]`"),
        };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "### {heading}\n\n| Key | Variable | Value | Default | Meaning |\n|---|---|---|---|---|\n{rows}\n"
        );
    }
    text
}

impl Entry {
    fn row(&self) -> String {
        let key = self.key.rsplit('.').next().unwrap_or(&self.key);
        let default = match &self.default {
            Default::Required => "required".to_owned(),
            Default::None => "none".to_owned(),
            Default::Value(value) => format!("`{value}`"),
        };
        let cells = [&self.expected, &default, &self.about].map(|cell| cell.replace('|', "\\|"));
        format!(
            "| `{key}` | `{}` | {} |\n",
            self.variable,
            cells.join(" | ")
        )
    }
}
