//! Keys: the ring that seals values, and the key that hides names.
//!
//! A key file holds 32 random bytes that are never used as they are: each use derives its own key by HKDF-Expand
//! (RFC 5869; the file's bytes are uniform, so there is nothing to extract).

mod file;
mod ring;

use std::{fmt, path::Path};

use aws_lc_rs::hmac;
use hubkey_domain::keyed_hash::KeyedHash;
use hubkey_protocol::secret::{Secret, ServerToken};
use zeroize::Zeroizing;

pub(crate) use self::ring::DecryptionFailed;
pub use self::{
    file::{KeyFileError, generate},
    ring::{EncryptionKey, KeyRing, KeyRingError},
};

const INDEX: &[u8] = b"hubkey/v1/index";
const SEAL: &[u8] = b"hubkey/v1/seal";
const NAME: &[u8] = b"hubkey/v1/key-id";

/// Hides names: every id, secret or user name that is looked up is looked up by its keyed hash. Fixed for the life of
/// a deployment; encryption keys rotate, this one does not.
#[derive(Clone)]
pub struct LookupMacKey {
    key: hmac::Key,
    id: KeyId,
}

impl LookupMacKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let derived = derive(bytes, INDEX);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
            id: KeyId::of(bytes),
        }
    }

    /// Reads a key file.
    pub fn from_file(path: &Path) -> Result<Self, KeyFileError> {
        Ok(Self::new(&*file::read(path)?))
    }

    /// The keyed hash (HMAC-SHA256) of `message` under a purpose's word; purposes never share a hash.
    #[must_use]
    pub fn hash(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(message);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// What is remembered of a server token.
    #[must_use]
    pub fn fingerprint(&self, token: &ServerToken) -> KeyedHash {
        self.keyed_hash("server-token", token)
    }

    /// The keyed hash of a secret, to keep or to compare.
    #[must_use]
    pub fn keyed_hash(&self, purpose: &str, secret: &impl Secret) -> KeyedHash {
        KeyedHash::new(self.hash(purpose, secret.expose().as_bytes()))
    }
}

impl fmt::Debug for LookupMacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupMacKey([redacted])")
    }
}

/// The public name of a key, derived from its bytes: it stands in front of what the key sealed, and in metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; Self::LEN]);

impl KeyId {
    /// How many bytes it has.
    pub(crate) const LEN: usize = 8;

    /// Takes what stands in a sealed record.
    #[must_use]
    pub(crate) const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes that stand in a sealed record.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    fn of(key: &[u8; 32]) -> Self {
        let mut id = [0; Self::LEN];
        id.copy_from_slice(&derive(key, NAME)[..Self::LEN]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The first block of HKDF-Expand with SHA-256, which is all that a key of 32 bytes needs.
fn derive(key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(label);
    context.update(&[1]);
    let mut derived = Zeroizing::new([0; 32]);
    derived.copy_from_slice(context.sign().as_ref());
    derived
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hkdf;

    use super::*;

    #[test]
    fn keys_are_derived_as_rfc_5869_says() {
        let key = [7; 32];
        let mut expected = [0; 32];
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &key)
            .expand(&[SEAL], hkdf::HKDF_SHA256)
            .unwrap()
            .fill(&mut expected)
            .unwrap();
        assert_eq!(*derive(&key, SEAL), expected);
        assert_ne!(*derive(&key, SEAL), *derive(&key, INDEX));
    }

    #[test]
    fn purposes_and_messages_never_share_a_hash() {
        let key = LookupMacKey::new(&[7; 32]);
        assert_ne!(key.hash("a", b"bc"), key.hash("ab", b"c"));
        assert_ne!(
            key.hash("a", b"b"),
            LookupMacKey::new(&[8; 32]).hash("a", b"b")
        );
    }

    #[test]
    fn security_l4_debug_of_keys_shows_no_key() {
        let shown = format!(
            "{:?} {:?}",
            LookupMacKey::new(&[7; 32]),
            KeyId::of(&[7; 32])
        );
        assert!(
            !shown.contains("07070707") && !shown.contains("7, 7"),
            "{shown}"
        );
    }
}
