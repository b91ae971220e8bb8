//! The keys that a provider publishes and signs with.

use std::sync::{Mutex, MutexGuard};

use super::{Alg, SigningKey, records::About, state::State};
use crate::fake_http::locked;

/// The keys that a provider publishes and signs with.
#[derive(Debug, Clone, Copy)]
pub struct SigningKeys<'p>(pub(super) &'p Mutex<State>);

impl SigningKeys<'_> {
    /// Publishes new keys, one for each algorithm, and signs with the first.
    pub fn generate(&self, algs: &[Alg]) -> anyhow::Result<()> {
        self.state().use_keys(algs)
    }

    /// Publishes these keys and signs with the first.
    pub fn publish(&self, keys: Vec<SigningKey>) {
        self.state().ring = keys;
    }

    /// The published keys; the first signs.
    #[must_use]
    pub fn all(&self) -> Vec<SigningKey> {
        self.state().ring.clone()
    }

    /// Replaces all keys by new ones of the same algorithms.
    pub fn rotate(&self) -> anyhow::Result<()> {
        self.state().rotate()
    }

    /// Replaces all keys just before the next ID token is signed.
    pub fn rotate_before_signing(&self) {
        self.state().rotate_before_signing = true;
    }

    /// Replaces the signing key by another of the same algorithm under the same `kid`.
    pub fn replace_under_kid(&self) -> anyhow::Result<()> {
        self.state().replace_under_kid()
    }

    /// An ID token outside of any flow, changed as [`super::HostileProvider::id_tokens`] says: for a validator's own tests.
    #[must_use]
    pub fn mint_id_token(&self, client_id: &str, nonce: &str) -> String {
        let mut state = self.state();
        let account = state.account.clone();
        let about = About {
            client_id,
            nonce: Some(nonce),
            account: &account,
            auth_time: None,
        };
        state.id_token(&about, None)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(self.0)
    }
}
