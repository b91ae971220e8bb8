//! The index of decisions: every file of `docs/adr` in the order of its number, with title, status and date.

use anyhow::{Context as _, ensure};

use crate::steps::StepContext;
use crate::steps::budget::{read, tracked};

const FOLDER: &str = "docs/adr/";
const INDEX: &str = "docs/adr/README.md";
const HEAD: &str = "| number | decision | status | date |\n|---|---|---|---|\n";

/// What is wrong with the decisions or their index.
pub(in crate::steps) fn stale(context: &StepContext) -> anyhow::Result<Vec<String>> {
    let text = read(context, INDEX)?;
    let mut found = Vec::new();
    match put_into(&text, &rows(context)?) {
        Ok(new) if new == text => {}
        Ok(_) => found.push(format!("{INDEX} is not current: run `cargo xtask docs`")),
        Err(error) => found.push(format!("{INDEX}: {error}")),
    }
    Ok(found)
}

/// Writes the index anew.
pub(super) fn write(context: &StepContext) -> anyhow::Result<()> {
    let text = put_into(&read(context, INDEX)?, &rows(context)?)?;
    Ok(std::fs::write(context.root().join(INDEX), text)?)
}

/// One row for each decision, and one for each gap in the numbers.
fn rows(context: &StepContext) -> anyhow::Result<Vec<String>> {
    let mut rows = Vec::new();
    let mut next = 1;
    // The names begin with numbers of four digits, so their order is that of the numbers.
    let mut files = tracked(context)?;
    // New files come after those that git knows.
    files.sort_unstable();
    for file in files {
        let Some(name) = file
            .strip_prefix(FOLDER)
            .filter(|name| *name != "README.md")
        else {
            continue;
        };
        let (number, row) = row(name, &read(context, &file)?).with_context(|| file.clone())?;
        ensure!(number >= next, "{file}: the number {number} is given twice");
        rows.extend(gap(next, number));
        rows.push(row);
        next = number + 1;
    }
    Ok(rows)
}

fn gap(from: u32, to: u32) -> Option<String> {
    let numbers = match to - from {
        0 => return None,
        1 => from.to_string(),
        _ => format!("{from} to {}", to - 1),
    };
    Some(format!("| {numbers} | not used | | |"))
}

/// The number of a decision and its row.
fn row(name: &str, text: &str) -> anyhow::Result<(u32, String)> {
    let number = name.split('-').next().unwrap_or_default();
    let number: u32 = number.parse().context("its name begins with no number")?;
    let lines: Vec<&str> = text.lines().collect();
    let title = lines
        .first()
        .and_then(|line| line.strip_prefix(&format!("# {number}. ")));
    let title = title.with_context(|| format!("it does not begin with `# {number}. …`"))?;
    let status = lines
        .get(2)
        .and_then(|line| line.strip_prefix("- Status: "));
    let status = status.context("its third line is not `- Status: …`")?;
    let date = lines.get(3).and_then(|line| line.strip_prefix("- Date: "));
    let date = date.filter(|date| is_date(date));
    let date = date.context("its fourth line is not `- Date: YYYY-MM-DD`")?;
    let known = ["accepted", "proposed", "rejected", "superseded by ["];
    ensure!(
        known.iter().any(|word| status.starts_with(word)),
        "its status begins with none of: {}",
        known.join(", ")
    );
    Ok((
        number,
        format!("| [{number}]({name}) | {title} | {status} | {date} |"),
    ))
}

fn is_date(text: &str) -> bool {
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

/// The index with these rows in place of those that it has.
fn put_into(text: &str, rows: &[String]) -> anyhow::Result<String> {
    let (before, _) = text
        .split_once(HEAD)
        .with_context(|| format!("it lacks {HEAD}"))?;
    Ok(format!("{before}{HEAD}{}\n", rows.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::{gap, put_into, row};

    #[test]
    fn a_decision_has_a_number_a_status_and_a_date() {
        let text = "# 7. A thing\n\n- Status: accepted\n- Date: 2026-11-30\n\n## Context\n";
        let expected = "| [7](0007-a.md) | A thing | accepted | 2026-11-30 |";
        assert_eq!(row("0007-a.md", text).unwrap(), (7, expected.to_owned()));
        for (old, new) in [
            ("# 7", "# 8"),
            ("- Status: accepted", "- Status: done"),
            ("- Status: accepted\n", ""),
            ("2026-11-30", "yesterday"),
        ] {
            assert!(row("0007-a.md", &text.replace(old, new)).is_err(), "{new}");
        }
    }

    #[test]
    fn gaps_are_told() {
        assert_eq!(gap(4, 4), None);
        assert_eq!(gap(4, 5).unwrap(), "| 4 | not used | | |");
        assert_eq!(gap(4, 7).unwrap(), "| 4 to 6 | not used | | |");
    }

    #[test]
    fn the_index_is_all_that_follows_its_head() {
        let text = "# D\n\n| number | decision | status | date |\n|---|---|---|---|\nold\n";
        let new = put_into(text, &["a".to_owned(), "b".to_owned()]).unwrap();
        assert!(
            new.starts_with("# D\n\n| number") && new.ends_with("|\na\nb\n"),
            "{new}"
        );
        assert!(put_into("# D\n", &[]).is_err());
    }
}
