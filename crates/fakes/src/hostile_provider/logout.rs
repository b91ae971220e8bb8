//! Logout tokens (OpenID Connect Back-Channel Logout 1.0), for whoever sends them.

use serde_json::Value;

use super::{Draft, HostileProvider, SigningKey};

impl HostileProvider {
    /// A logout token with these claims, signed by the key that signs, and changed before.
    #[must_use]
    pub fn logout_token(&self, claims: Value, alter: impl FnOnce(&mut Draft)) -> String {
        let key = self.signing_keys().all().into_iter().next();
        let mut draft = Draft::new(key.unwrap_or_else(SigningKey::rsa_1024), claims);
        draft.head("typ", "logout+jwt");
        alter(&mut draft);
        draft.compact()
    }
}
