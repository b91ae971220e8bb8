//! Keys: the ring that seals values, and the key that hides names.

use std::fmt;

use aws_lc_rs::hmac;
use hubkey_protocol::secret::{HubToken, Secret};

use crate::domain::kernel::Fingerprint;

/// Hides names: every id, secret or user name that is looked up is looked up by its keyed hash. Fixed for the life of
/// a deployment; sealing keys rotate, this one does not.
#[derive(Clone)]
pub struct IndexKey(hmac::Key);

impl IndexKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The keyed hash (HMAC-SHA256) of `message` under a purpose's word; purposes never share a hash.
    #[must_use]
    pub fn hash(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(message);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// What is remembered of a server token.
    #[must_use]
    pub fn fingerprint(&self, token: &HubToken) -> Fingerprint {
        Fingerprint::new(self.hash("server-token", token.expose().as_bytes()))
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey([redacted])")
    }
}
