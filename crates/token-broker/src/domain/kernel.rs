//! Who asks: the kernel's side of the Hub.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// A hub user's name, exactly as the Hub says it: compared byte by byte, never folded or split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HubUser(String);

impl HubUser {
    /// Takes a name that the Hub gave: 1 to 255 bytes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (1..=255)
            .contains(&name.len())
            .then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of one of a user's servers; empty for the default one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerName(String);

impl ServerName {
    /// Takes a name that the Hub gave: up to 255 bytes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (name.len() <= 255).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keyed hash of a server token: what is remembered of it. A new server start is a new token, hence another
/// fingerprint (SECURITY KR10).
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
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

    /// Whether both are of the same token, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint([redacted])")
    }
}

/// A kernel that proved with a server token which server it runs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kernel {
    /// The owner of the server.
    pub user: HubUser,
    /// Which of the owner's servers.
    pub server: ServerName,
    /// Of the very token.
    pub fingerprint: Fingerprint,
}

impl Kernel {
    /// Whether both are kernels of the same instance of the same server: same user, same server, same token.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        self.user == other.user
            && self.server == other.server
            && self.fingerprint.matches(&other.fingerprint)
    }
}
