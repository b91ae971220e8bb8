//! The tables on the page of rules for what providers send, from the table of rules.

use std::fmt::Write as _;

use hubkey_protocol::provider_rules::{Consequence, Holds, ProviderRule, RuleGroup, RuleRow};

/// The groups, each with its heading.
const GROUPS: [(RuleGroup, &str); 9] = [
    (RuleGroup::Metadata, "The metadata"),
    (RuleGroup::Redirect, "The way back of the browser"),
    (RuleGroup::TokenAnswer, "The answer of the token endpoint"),
    (RuleGroup::PushedRequest, "The answer to a pushed request"),
    (RuleGroup::KeySet, "The key set"),
    (RuleGroup::IdToken, "An ID token"),
    (RuleGroup::Userinfo, "Userinfo"),
    (RuleGroup::Answer, "Any answer"),
    (RuleGroup::LogoutToken, "A logout token"),
];

/// What a rule can hold, and one table for each group.
pub(super) fn reference() -> String {
    let mut text = "| holds | that |\n|---|---|\n".to_owned();
    for (word, meaning) in Holds::ALL.map(Holds::said) {
        let _ = writeln!(text, "| {word} | {meaning} |");
    }
    for (group, heading) in GROUPS {
        let _ = write!(
            text,
            "\n### {heading}\n\n| `reason` | refused where | holds | from | ends with |\n|---|---|---|---|---|\n"
        );
        for rule in ProviderRule::of(group) {
            text.push_str(&row(rule.row()));
        }
    }
    text
}

fn row(row: &RuleRow) -> String {
    let (holds, _) = row.holds.said();
    let ends = match row.consequence {
        Consequence::SignIn(failure) => format!("`{}`", failure.name()),
        Consequence::Logout => "400".to_owned(),
    };
    format!(
        "| `{}` | {} | {holds} | {} | {ends} |\n",
        row.name, row.broken, row.source
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_line() {
        let page = reference();
        for rule in ProviderRule::ALL {
            let line = format!("| `{}` | {} | ", rule.name(), rule.row().broken);
            assert_eq!(page.matches(&line).count(), 1, "{}", rule.name());
        }
    }
}
