//! The settings file as a tree of texts with line numbers.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::config_error::{ConfigError, Location};

/// A value in the file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    /// A text, number or boolean, as text.
    Scalar(String),
}

/// Reads the file. With mistakes, the tree is what could still be understood.
pub(super) fn read(path: &Path) -> (BTreeMap<String, Node>, Vec<ConfigError>) {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) => (
            BTreeMap::new(),
            vec![ConfigError::unreadable_file(path, &error)],
        ),
    }
}

fn parse(path: &Path, text: &str) -> (BTreeMap<String, Node>, Vec<ConfigError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors
        .iter()
        .map(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            // Only the message: the error's own text repeats the line of the file, and that could hold a secret.
            ConfigError::syntax(Location::file(path, line), error.message())
        })
        .collect();
    (nodes(text, table.get_ref()), errors)
}

fn nodes(text: &str, table: &DeTable<'_>) -> BTreeMap<String, Node> {
    let node = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        let line = line_of(text, value.span().start);
        (
            key.clone().into_owned(),
            Node {
                line,
                value: node_value(text, value.get_ref()),
            },
        )
    };
    table.iter().map(node).collect()
}

fn node_value(text: &str, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(string) => Value::Scalar(string.clone().into_owned()),
        DeValue::Integer(integer) => Value::Scalar(decimal(integer.as_str(), integer.radix())),
        DeValue::Float(float) => Value::Scalar(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Value::Scalar(boolean.to_string()),
        DeValue::Datetime(datetime) => Value::Scalar(datetime.to_string()),
        DeValue::Array(array) => Value::List(
            array
                .iter()
                .map(|item| Node {
                    line: line_of(text, item.span().start),
                    value: node_value(text, item.get_ref()),
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(nodes(text, table)),
    }
}

fn decimal(digits: &str, radix: u32) -> String {
    match i128::from_str_radix(digits, radix) {
        Ok(number) => number.to_string(),
        Err(_) => digits.to_owned(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
