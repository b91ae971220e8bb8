//! The table on the page of limits, from the table of bounds.

use std::fmt::Write as _;

use hubkey_protocol::bounds::{Beyond, Bound, BoundGroup, BoundRow, Seen, Unit};

const HEAD: &str = "\
| what | at most | known to occur | a person reads | a kernel gets |
|---|---|---|---|---|
";

/// The groups, each with its heading.
const GROUPS: [(BoundGroup, &str); 6] = [
    (BoundGroup::Request, "A request, at any listener"),
    (
        BoundGroup::CallbackServer,
        "What browsers and providers send to callback-server",
    ),
    (BoundGroup::Provider, "What a provider answers token-broker"),
    (BoundGroup::Hub, "What the Hub answers token-broker"),
    (BoundGroup::Kernel, "What a kernel asks for"),
    (BoundGroup::Broker, "What token-broker answers"),
];

/// One table for each group.
pub(super) fn reference() -> String {
    let mut text = String::new();
    for (group, heading) in GROUPS {
        let _ = write!(text, "### {heading}\n\n{HEAD}");
        for bound in Bound::of(group) {
            text.push_str(&row(bound.row()));
        }
        text.push('\n');
    }
    text
}

fn row(row: &BoundRow) -> String {
    let (person, kernel) = beyond(row.beyond);
    let end = if person.ends_with(".”") { "" } else { "." };
    let notes = match row.note {
        "" => String::new(),
        note => format!("{end} {}", note.trim_end_matches('.')),
    };
    format!(
        "| {} | {} | {} | {person}{notes} | {kernel} |\n",
        row.what,
        amount(row.limit, row.unit),
        seen(row.seen, row.unit)
    )
}

fn amount(count: usize, unit: Unit) -> String {
    match unit {
        Unit::Bytes if count.is_multiple_of(1024) => format!("{} KiB", count / 1024),
        Unit::Bytes => format!("{count} bytes"),
        Unit::Characters => format!("{count} characters"),
        Unit::Fields => format!("{count} fields"),
        Unit::Keys => format!("{count} keys"),
        Unit::Levels => format!("{count} levels"),
    }
}

fn seen(seen: Seen, unit: Unit) -> String {
    match seen {
        Seen::AtMost(largest, place) => format!("{}: {place}", amount(largest, unit)),
        Seen::Standard(largest, name) => format!("at most {}: {name}", amount(largest, unit)),
        Seen::Follows(how) => format!("follows {how}"),
        Seen::Own => "made by hubkey, shorter".to_owned(),
        Seen::NotKnown => "no figure known".to_owned(),
    }
}

/// What a person reads and what a kernel gets.
fn beyond(beyond: Beyond) -> (String, String) {
    match beyond {
        Beyond::EndsSignIn(failure) => {
            let (before, after) = failure.row().title;
            let page = format!("the sign-in ends: “{before}…{after}”");
            (page, format!("`failed`, `{}`", failure.name()))
        }
        Beyond::Refused(code) => {
            let row = code.row();
            let answer = format!("{} `{}`", row.status, row.name);
            (format!("“{}”", row.title), answer)
        }
        Beyond::Otherwise { person, kernel } => (person.to_owned(), kernel.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_its_line() {
        let page = reference();
        for bound in Bound::ALL {
            let line = format!("| {} | ", bound.row().what);
            assert_eq!(page.matches(&line).count(), 1, "{}", bound.name());
        }
    }
}
