//! Secrets that a test has seen, and the search for them where they must not be.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Shorter values are found by chance.
const SHORTEST: usize = 12;

/// Secrets, each with the name by which a failed test tells of it.
#[derive(Debug, Clone, Default)]
pub struct Canaries(Vec<(String, String)>);

impl Canaries {
    /// Adds a secret.
    pub fn add(&mut self, name: &str, secret: impl Into<String>) {
        let secret = secret.into();
        if secret.len() >= SHORTEST {
            self.0.push((name.to_owned(), secret));
        }
    }

    /// Adds several secrets of one kind.
    pub fn add_all<S: Into<String>>(&mut self, name: &str, secrets: impl IntoIterator<Item = S>) {
        for secret in secrets {
            self.add(name, secret);
        }
    }

    /// How many secrets of this kind there are.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(known, _)| known == name).count()
    }

    /// The names of those that are in some bytes, in the clear or in a usual encoding.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        // Every needle is ASCII, so what is no text loses none of them.
        let text = String::from_utf8_lossy(bytes);
        let mut found: Vec<String> = self
            .0
            .iter()
            .flat_map(|(name, secret)| encodings(name, secret))
            .filter(|(_, needle)| text.contains(needle.as_str()))
            .map(|(name, _)| name)
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

fn encodings(name: &str, secret: &str) -> Vec<(String, String)> {
    let bytes = secret.as_bytes();
    let mut hexadecimal = String::new();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    let list = [
        ("as it is", secret.to_owned()),
        ("in base64", STANDARD_NO_PAD.encode(bytes)),
        ("in base64url", URL_SAFE_NO_PAD.encode(bytes)),
        ("in HEX", hexadecimal.to_uppercase()),
        ("in hex", hexadecimal),
        (
            "in percents",
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        ),
    ];
    list.map(|(how, needle)| (format!("{name} {how}"), needle))
        .into()
}

#[cfg(test)]
mod tests {
    use super::Canaries;

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        let mut canaries = Canaries::default();
        canaries.add("token", "a.secret/of+ours");
        canaries.add("short", "abc");
        for hidden in [
            "x a.secret/of+ours y",
            "YS5zZWNyZXQvb2Yrb3Vycw",
            "612e7365637265742f6f662b6f757273",
            "a%2Esecret%2Fof%2Bours",
        ] {
            assert!(!canaries.found_in(hidden.as_bytes()).is_empty(), "{hidden}");
        }
        assert!(canaries.found_in(b"a.secret/of+our abc").is_empty());
        assert_eq!((canaries.count("token"), canaries.count("short")), (1, 0));
    }
}
