//! Every word that `reason` can be in the audit stream stands in the manual.

use crate::steps::StepContext;
use crate::steps::budget::{read, tracked};

const PAGE: &str = "docs/reference/audit-reasons.md";
const SOURCES: [&str; 2] = ["crates/oidc/src/", "crates/token-broker/src/use_cases/"];

/// What stands before a word where one is made.
const MAKERS: [&str; 9] = [
    "ProtocolViolation(",
    "Misconfigured(",
    "NotSupported(",
    "unreadable(",
    ".reason(",
    "forbidden(source, ",
    "forbidden(browser.source, ",
    "cancelled(",
    "UserCheck::Gone(",
];

/// The words that the page lacks.
pub(super) fn missing(context: &StepContext) -> anyhow::Result<Vec<String>> {
    let page = read(context, PAGE)?;
    let mut found = Vec::new();
    let files = tracked(context)?;
    let sources = files.iter().filter(|file| is_source(file));
    for file in sources {
        let text = read(context, file)?;
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let unknown = words(product).filter(|word| !page.contains(&format!("`{word}`")));
        found.extend(unknown.map(|word| format!("{PAGE} does not explain `{word}` of {file}")));
    }
    Ok(found)
}

fn is_source(file: &str) -> bool {
    SOURCES.iter().any(|folder| file.starts_with(folder)) && !file.contains("tests")
}

fn words(source: &str) -> impl Iterator<Item = &str> {
    let made = MAKERS.iter().flat_map(move |maker| {
        source
            .split(maker)
            .skip(1)
            .filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
    });
    // Those of a claim or a member: `id_token_…`, `logout_token_…`.
    let prefixed = source
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| text.starts_with("id_token_") || text.starts_with("logout_token_"));
    made.chain(prefixed).filter(|word| is_word(word))
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_h9_words_are_found_where_they_are_made() {
        let source = r#"
            Err(IdpError::ProtocolViolation("token_json"))
            pages.forbidden(source, "csrf")
            Self::Expiry => "id_token_exp",
            Err(IdpError::ProtocolViolation(word))
            Event::new().reason(&text)
        "#;
        let found: Vec<_> = words(source).collect();
        assert_eq!(found, ["token_json", "csrf", "id_token_exp"]);
    }
}
