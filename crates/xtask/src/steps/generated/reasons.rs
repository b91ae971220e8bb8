//! Every word that `reason` can be in the audit stream stands in the manual. Those of the table of rules have a page that is
//! made from it.

use crate::steps::StepContext;
use crate::steps::budget::{read, tracked};

const PAGE: &str = "docs/reference/audit-reasons.md";
const SOURCES: [&str; 2] = ["crates/oidc/src/", "crates/token-broker/src/use_cases/"];

/// What stands before a word where one is made.
const MAKERS: [&str; 6] = [
    "Misconfigured(",
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
    made.filter(|word| is_word(word))
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
            Err(IdpError::Misconfigured("client_secret"))
            pages.forbidden(source, "csrf")
            Err(IdpError::Misconfigured(word))
            Event::new().reason(&text)
        "#;
        let found: Vec<_> = words(source).collect();
        assert_eq!(found, ["client_secret", "csrf"]);
    }
}
