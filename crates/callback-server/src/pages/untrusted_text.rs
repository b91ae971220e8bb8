//! Text that comes from outside: account names, hub users, provider names, scopes.

use std::fmt;

/// No page shows more characters of one value than this.
const MAX_CHARACTERS: usize = 256;

/// A value from outside, cut and cleaned for a page.
///
/// Templates escape it (that is askama's part) and put it into `<bdi>`, so that it cannot turn the text around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UntrustedText(String);

impl UntrustedText {
    /// Cleans a value: without control characters, invisible characters and those that change the direction of text.
    pub(crate) fn new(value: &str) -> Self {
        let mut kept = value
            .chars()
            .filter_map(shown)
            .take(MAX_CHARACTERS + 1)
            .collect::<String>();
        if let Some((cut, _)) = kept.char_indices().nth(MAX_CHARACTERS) {
            let last = kept[..cut]
                .char_indices()
                .next_back()
                .map_or(0, |(index, _)| index);
            kept.truncate(last);
            kept.push('…');
        }
        let kept = kept.trim();
        Self(if kept.is_empty() {
            "(no name)".to_owned()
        } else {
            kept.to_owned()
        })
    }

    /// The value in parts, between which a narrow line may break: after the `@` and the dots of an address.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split_inclusive(['@', '.'])
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of one character.
fn shown(character: char) -> Option<char> {
    match character {
        '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => None,
        // Marks, embeddings, overrides and isolates of the bidirectional algorithm.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            None
        }
        // Characters that show nothing. The joiners U+200C and U+200D stay: scripts and emoji need them.
        '\u{ad}'
        | '\u{34f}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_o10_values_from_outside_are_cut_and_cleaned() {
        assert_eq!(
            UntrustedText::new("alice\r\nSet-Cookie: a=b").to_string(),
            "alice  Set-Cookie: a=b"
        );
        assert_eq!(
            UntrustedText::new("\u{202e}ecila\u{2066}\u{200b}\0").to_string(),
            "ecila"
        );
        assert_eq!(UntrustedText::new(" \u{200b}\n").to_string(), "(no name)");
        let long = UntrustedText::new(&"ü".repeat(65_536)).to_string();
        assert_eq!(long.chars().count(), 256);
        assert!(long.ends_with("ü…"));
        assert_eq!(
            UntrustedText::new(&"x".repeat(256)).to_string(),
            "x".repeat(256)
        );
    }

    #[test]
    fn names_of_all_scripts_stay_as_they_are() {
        for name in [
            "Zoë Müller",
            "Александр",
            "محمد",
            "山田太郎",
            "नमस्ते",
            "👩\u{200d}🔬",
        ] {
            assert_eq!(UntrustedText::new(name).to_string(), name);
        }
    }
}
