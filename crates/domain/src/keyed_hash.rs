//! What is remembered of a secret.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// The keyed hash (HMAC-SHA256) of a secret, or of an account: it finds and recognises what it was made of, and does not
/// tell it. Each purpose has hashes of its own.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct KeyedHash([u8; 32]);

impl KeyedHash {
    /// Takes a keyed hash.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are of the same value, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash([redacted])")
    }
}
