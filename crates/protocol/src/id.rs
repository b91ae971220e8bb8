//! Public handles. None of them is a secret, none of them is guessable where that matters.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::secret::{AccessToken, Secret};

/// A text that is not a handle of the kind asked for.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidId {
    expected: &'static str,
}

impl InvalidId {
    pub(crate) const fn expecting(expected: &'static str) -> Self {
        Self { expected }
    }
}

/// A handle: its name, what an error says is expected, the pattern that the API reference shows, and the check, of which a
/// test shows that it takes what the pattern takes.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
        #[schema(pattern = $pattern)]
        pub struct $name(String);

        impl $name {
            /// Reads a handle from text of any origin.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId { expected: $expected }) }
            }

            /// The handle as it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// The short public name of one sign-in: six lower-case letters. It names the flow cookie and the slot in Redis
    /// that holds the sign-in's records; knowing it opens nothing.
    ShortId,
    "six letters a to z",
    "^[a-z]{6}$",
    |text| text.len() == 6 && text.bytes().all(|b| b.is_ascii_lowercase())
);
id!(
    /// The random public handle of one sign-in: `<short>.<22 characters of base64url>`, 128 random bits.
    Nonce,
    "a sign-in's nonce",
    "^[a-z]{6}\\.[A-Za-z0-9_-]{22}$",
    |text| is_prefixed(text, 22)
);
id!(
    /// The handle of a connection: `<short>.<22 characters of base64url>`, 128 random bits.
    ConnectionId,
    "a connection's id",
    "^[a-z]{6}\\.[A-Za-z0-9_-]{22}$",
    |text| is_prefixed(text, 22)
);
id!(
    /// The operator's short name of a provider, such as `lab-api`.
    ProviderId,
    "1 to 63 characters of a to z, 0 to 9 and -, beginning with a letter or digit",
    "^[a-z0-9][a-z0-9-]{0,62}$",
    |text| (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
id!(
    /// The reference on an error page, such as `7QK2-M4TX`: the operator finds it in the audit stream.
    ErrorReference,
    "eight characters in two groups",
    "^[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}$",
    |text| text.len() == 9
        && text.bytes().enumerate().all(|(i, b)| if i == 4 { b == b'-' } else { REFERENCE_ALPHABET.contains(&b) })
);

id!(
    /// The hash of an access token, by which one is named without being shown: `ath` of RFC 9449 section 4.2, the base64url
    /// form without padding of the SHA-256 of the token.
    AccessTokenHash,
    "the base64url form of a SHA-256 hash, 43 characters, and never the token itself",
    "^[A-Za-z0-9_-]{43}$",
    |text| text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);

/// Without 0, 1, I and O, which people confuse when they read a reference aloud.
const REFERENCE_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl ShortId {
    /// Makes a short id of eight random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        let mut rest = u64::from_be_bytes(bytes);
        let letters = (0..6).map(|_| {
            let letter = (rest % 26) as u8;
            rest /= 26;
            char::from(b'a' + letter)
        });
        Self(letters.collect())
    }

    /// Reads the short id in front of the dot of a nonce, a ticket or a state.
    pub fn of(prefixed: &str) -> Result<Self, InvalidId> {
        let (short, _) = prefixed.split_once('.').unwrap_or_default();
        Self::parse(short)
    }
}

impl Nonce {
    /// Makes the nonce of a sign-in of 16 random bytes.
    #[must_use]
    pub fn from_random(short: &ShortId, bytes: [u8; 16]) -> Self {
        Self(prefixed(short, &bytes))
    }

    /// The sign-in's short id.
    #[must_use]
    pub fn short(&self) -> ShortId {
        ShortId(self.0[..6].to_owned())
    }
}

impl AccessTokenHash {
    /// Whether it is the hash of this token.
    #[must_use]
    pub fn is_of(&self, token: &AccessToken) -> bool {
        *self == Self::of(token)
    }

    /// Hashes a token.
    #[must_use]
    pub fn of(token: &AccessToken) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose())))
    }
}

impl ConnectionId {
    /// Makes a connection's id of 16 random bytes.
    #[must_use]
    pub fn from_random(short: &ShortId, bytes: [u8; 16]) -> Self {
        Self(prefixed(short, &bytes))
    }

    /// The short id in front of the dot.
    #[must_use]
    pub fn short(&self) -> ShortId {
        ShortId(self.0[..6].to_owned())
    }
}

impl ErrorReference {
    /// Makes a reference of eight random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        let mut text: String = bytes
            .iter()
            .map(|b| char::from(REFERENCE_ALPHABET[usize::from(b % 32)]))
            .collect();
        text.insert(4, '-');
        Self(text)
    }
}

/// `<short>.<base64url of bytes>`: the form of every handle and one-time value that belongs to one sign-in.
#[must_use]
pub fn prefixed(short: &ShortId, bytes: &[u8]) -> String {
    format!("{}.{}", short.as_str(), URL_SAFE_NO_PAD.encode(bytes))
}

fn is_prefixed(text: &str, random: usize) -> bool {
    text.split_once('.').is_some_and(|(short, rest)| {
        ShortId::parse(short).is_ok()
            && rest.len() == random
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_made_from_random_bytes_can_be_read_again() {
        let short = ShortId::from_random([7; 8]);
        let nonce = Nonce::from_random(&short, [9; 16]);
        assert_eq!(Nonce::parse(nonce.as_str()).unwrap(), nonce);
        assert_eq!(nonce.short(), short);
        assert_eq!(ShortId::of(nonce.as_str()).unwrap(), short);
        let reference = ErrorReference::from_random([255; 8]);
        assert_eq!(
            ErrorReference::parse(reference.as_str()).unwrap(),
            reference
        );
    }

    #[test]
    fn other_texts_are_no_handles() {
        for text in [
            "",
            "abcdef",
            "abcdef.",
            "ABCDEF.AAAAAAAAAAAAAAAAAAAAAA",
            "abcdef.AAAAAAAAAAAAAAAAAAAAA/",
            "é",
        ] {
            assert!(Nonce::parse(text).is_err(), "{text}");
        }
        for text in ["", "-a", "Lab", "a b", "a/b", "ü"] {
            assert!(ProviderId::parse(text).is_err(), "{text}");
        }
    }
}
