//! The tables of metrics, audit events and variables: which rows there are comes from the code, what else a row says
//! is written by hand. A new row starts with the sentence of the code.

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::steps::StepContext;
use crate::steps::budget::{read, tracked};

const EVENTS: &str = "crates/token-broker/src/audit.rs";
/// Where the tests of a file begin.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// A table of a page.
struct Table {
    page: &'static str,
    /// What the code has.
    names: fn(&StepContext) -> anyhow::Result<Vec<Name>>,
}

const TABLES: [Table; 3] = [
    Table {
        page: "docs/reference/metrics.md",
        names: metrics,
    },
    Table {
        page: "docs/reference/audit-events.md",
        names: events,
    },
    Table {
        page: "docs/reference/environment.md",
        names: variables,
    },
];

/// A name of the code, and the row that it has at least.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    /// What stands before the name in its row.
    before: String,
    word: String,
    /// The further cells of a new row.
    cells: String,
}

impl Name {
    /// How every row of this name begins.
    fn head(&self) -> String {
        format!("{}| `{}` |", self.before, self.word)
    }
}

/// The pages whose tables are not what the code has.
pub(in crate::steps) fn stale(context: &StepContext) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for table in &TABLES {
        let text = read(context, table.page)?;
        let new = put_into(&text, &(table.names)(context)?)?;
        let differing = changed(&text, &new);
        found.extend(differing.map(|row| format!("{}: {row}", table.page)));
    }
    let silent = undescribed(context)?.into_iter();
    found.extend(silent.map(|metric| format!("`{metric}` has no description for its HELP line")));
    Ok(found)
}

/// The rows that one text has and the other has not.
fn changed<'a>(old: &'a str, new: &'a str) -> impl Iterator<Item = String> + 'a {
    let gone = old
        .lines()
        .filter(|line| !new.lines().any(|other| other == *line));
    let added = new
        .lines()
        .filter(|line| !old.lines().any(|other| other == *line));
    gone.map(|row| format!("the code lacks {row}"))
        .chain(added.map(|row| format!("`cargo xtask docs` adds {row}")))
}

/// Writes each table anew.
pub(super) fn write(context: &StepContext) -> anyhow::Result<()> {
    for table in &TABLES {
        let text = put_into(&read(context, table.page)?, &(table.names)(context)?)?;
        std::fs::write(context.root().join(table.page), text)?;
    }
    Ok(())
}

/// The text with the rows of these names and no others, in the order that they have, new ones last.
fn put_into(text: &str, names: &[Name]) -> anyhow::Result<String> {
    let lines: Vec<&str> = text.lines().collect();
    let rule = lines.iter().position(|line| line.starts_with("|---"));
    let first = rule.context("there is no table")? + 1;
    let count = lines[first..]
        .iter()
        .take_while(|line| line.starts_with('|'))
        .count();
    let (old, after) = lines[first..].split_at(count);
    let mut rows: Vec<String> = old
        .iter()
        .filter(|row| names.iter().any(|name| row.starts_with(&name.head())))
        .map(ToString::to_string)
        .collect();
    for name in names {
        if !rows.iter().any(|row| row.starts_with(&name.head())) {
            rows.push(format!("{} {} |", name.head(), name.cells));
        }
    }
    let before = lines[..first].iter().map(ToString::to_string);
    let after = after.iter().map(ToString::to_string);
    let all: Vec<String> = before.chain(rows).chain(after).collect();
    Ok(all.join("\n") + "\n")
}

fn metrics(context: &StepContext) -> anyhow::Result<Vec<Name>> {
    let mut found: Vec<Name> = Vec::new();
    for file in tracked(context)?.iter().filter(|file| is_product(file)) {
        for name in measured(&read(context, file)?) {
            match found.iter_mut().find(|known| known.word == name.word) {
                Some(known) if known.cells.len() < name.cells.len() => *known = name,
                Some(_) => {}
                None => found.push(name),
            }
        }
    }
    Ok(found)
}

/// The metrics that no source file describes.
fn undescribed(context: &StepContext) -> anyhow::Result<Vec<String>> {
    let files = tracked(context)?
        .into_iter()
        .filter(|file| is_product(file));
    let sources: Vec<String> = files
        .map(|file| read(context, &file))
        .collect::<anyhow::Result<_>>()?;
    let words = metrics(context)?.into_iter().map(|metric| metric.word);
    Ok(words
        .filter(|word| !sources.iter().any(|source| describes(source, word)))
        .collect())
}

/// Whether a source file puts a sentence behind the metric's name, or behind the constant that holds it.
fn describes(source: &str, metric: &str) -> bool {
    let literal = format!("\"{metric}\"");
    let constants = source.lines().filter_map(|line| {
        let (name, value) = line
            .trim()
            .strip_prefix("const ")?
            .split_once(": &str = ")?;
        (value.trim_end_matches(';') == literal).then_some(name)
    });
    let is_sentence = |behind: &str| {
        let text = behind.trim_start().strip_prefix(',').map(str::trim_start);
        let text = text.and_then(|text| text.strip_prefix('"')?.split_once('"'));
        text.is_some_and(|(text, _)| text.contains(' '))
    };
    let mut names = constants.chain([literal.as_str()]);
    names.any(|name| source.split(name).skip(1).any(is_sentence))
}

fn is_product(file: &str) -> bool {
    file.starts_with("crates/")
        && file.contains("/src/")
        && !file.contains("tests")
        && !file.starts_with("crates/xtask/")
}

/// The metrics that a source file names; with the sentence that describes them, where it follows.
fn measured(source: &str) -> Vec<Name> {
    const ENDS: [&str; 6] = [
        "_total",
        "_seconds",
        "_connections",
        "_up",
        "_info",
        "_open",
    ];
    let product = source.split(TESTS).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    let parts: Vec<&str> = product.split('"').collect();
    let texts = (1..parts.len()).step_by(2);
    let is_metric = |text: &str| {
        text.starts_with("hubkey_")
            && text.chars().all(plain)
            && ENDS.iter().any(|end| text.ends_with(end))
    };
    texts
        .filter(|place| is_metric(parts[*place]))
        .map(|place| {
            let is_alone =
                |part: usize| parts.get(part).is_some_and(|between| between.trim() == ",");
            let is_label = parts.get(place + 3).is_some_and(|rest| rest.contains("=>"));
            let meaning = parts
                .get(place + 2)
                .filter(|_| is_alone(place + 1) && !is_label);
            Name {
                before: String::new(),
                word: parts[place].to_owned(),
                cells: meaning.map_or("|".to_owned(), |meaning| format!("| {meaning}")),
            }
        })
        .collect()
}

fn events(context: &StepContext) -> anyhow::Result<Vec<Name>> {
    Ok(told(&read(context, EVENTS)?))
}

/// The events that `name` gives words to, each with the first line of its variant's documentation.
fn told(source: &str) -> Vec<Name> {
    let named = source.lines().filter_map(|line| {
        let (variant, rest) = line.trim().strip_prefix("Self::")?.split_once("=> \"")?;
        Some((variant.trim(), rest.split('"').next()?))
    });
    let event = |(variant, name): (&str, &str)| Name {
        before: String::new(),
        word: name.to_owned(),
        cells: documentation(source, variant),
    };
    named.map(event).collect()
}

/// The documentation of a variant, without its full stop.
fn documentation(source: &str, variant: &str) -> String {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let place = lines.iter().position(|line| *line == format!("{variant},"));
    let line = place.and_then(|place| lines.get(place.checked_sub(1)?));
    let text = line.and_then(|line| line.strip_prefix("/// "));
    text.unwrap_or_default().trim_end_matches('.').to_owned()
}

fn variables(context: &StepContext) -> anyhow::Result<Vec<Name>> {
    const READERS: [&str; 4] = [
        "crates/broker-client/src/",
        "crates/cli/src/",
        "crates/python-shim/src/",
        "crates/python-shim/python/",
    ];
    let mut words = BTreeSet::new();
    for file in tracked(context)? {
        if READERS.iter().any(|folder| file.starts_with(folder)) {
            words.extend(named_variables(&read(context, &file)?));
        }
    }
    let name = |word| Name {
        before: String::new(),
        word,
        cells: "| |".to_owned(),
    };
    Ok(words.into_iter().map(name).collect())
}

/// The environment variables of ours that a source file names.
fn named_variables(source: &str) -> impl Iterator<Item = String> {
    let part_of_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = source.split(move |c: char| !part_of_name(c));
    let whole = words.filter(|word| word.starts_with("HUBKEY_") && !word.ends_with('_'));
    whole.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, cells: &str) -> Name {
        Name {
            before: String::new(),
            word: name.to_owned(),
            cells: cells.to_owned(),
        }
    }

    #[test]
    fn rows_come_and_go_with_the_names_and_keep_what_was_written() {
        let old = "# T\n\n| a | b |\n|---|---|\n| `gone` | x |\n| `kept` | by hand |\n\nafter\n";
        let new = put_into(old, &[name("new", "said"), name("kept", "other")]).unwrap();
        assert_eq!(
            new,
            "# T\n\n| a | b |\n|---|---|\n| `kept` | by hand |\n| `new` | said |\n\nafter\n"
        );
        let complaints: Vec<String> = changed(old, &new).collect();
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert_eq!(changed(&new, &new).count(), 0);
    }

    #[test]
    fn metrics_and_events_are_read_from_the_source() {
        let source = "counter!(\"hubkey_a_total\", \"b\" => 1)\n(\n\"hubkey_d_open\",\n\"What.\",\n)\n\
            #[cfg(test)]\nmod tests {\n\"hubkey_c_total\"";
        let found = measured(source);
        assert_eq!(
            found,
            [
                name("hubkey_a_total", "|"),
                name("hubkey_d_open", "| What.")
            ]
        );
        let source = "    /// A token was issued.\n    TokenIssued,\n    Self::TokenIssued => \"token_issued\",";
        assert_eq!(told(source), [name("token_issued", "A token was issued")]);
    }

    #[test]
    fn a_metric_needs_a_sentence_behind_its_name_or_its_constant() {
        let counted = "counter!(\"hubkey_a_total\", \"provider\" => provider)";
        assert!(!describes(counted, "hubkey_a_total"));
        let constant = "const A: &str = \"hubkey_a_total\";\ncounter!(A, \"b\" => b);\n";
        assert!(!describes(constant, "hubkey_a_total"));
        let described = format!("{constant}metrics.describe(A, \"Of what.\");");
        assert!(describes(&described, "hubkey_a_total"));
        let listed = "(\n\"hubkey_a_total\",\n\"Of what.\",\n)";
        assert!(describes(listed, "hubkey_a_total") && !describes(listed, "hubkey_b_total"));
    }

    #[test]
    fn variables_are_whole_words() {
        let found: Vec<String> =
            named_variables("env(\"HUBKEY_URL\"); // HUBKEY_* HUBKEY_A_B=1 XHUBKEY").collect();
        assert_eq!(found, ["HUBKEY_URL", "HUBKEY_A_B"]);
    }
}
