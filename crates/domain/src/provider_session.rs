//! Which connections came of a session at a provider, and of an account there: what ends when the provider says that
//! the person logged out. And which a server has: what ends with it, whatever its owner is called by then.

use hubkey_protocol::{ConnectionId, Nonce, ProviderId};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    connection::{Connection, PendingConnection},
    sign_in::SignIn,
};

/// More of one account are not remembered; the oldest are left out.
const MOST: usize = 1000;

/// The connections of one session, account or server. It holds no secret; what it names is checked again where it is read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ProviderSessionIndex {
    /// Oldest first.
    pub logins: Vec<ProviderSession>,
}

/// One connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProviderSession {
    /// The id of the connection.
    pub connection: ConnectionId,
    /// The id of the provider.
    pub provider: ProviderId,
    /// Of which account.
    pub subject: String,
    /// Of which session, if the provider said so.
    pub session: Option<String>,
    /// What its ID token was signed with, as far as that is known; a logout token is signed with the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The sign-in whose person is still to say whether it becomes a connection at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Nonce>,
    /// When its record ends.
    pub expires_at: Timestamp,
}

impl ProviderSession {
    /// The entry of a connection whose record ends then.
    #[must_use]
    pub fn of(connection: &Connection, expires_at: Timestamp) -> Self {
        Self {
            connection: connection.id.clone(),
            provider: connection.provider.clone(),
            subject: connection.grant.account.sub.clone(),
            session: connection.grant.proof.session.clone(),
            algorithm: connection.grant.proof.algorithm.clone(),
            waiting: None,
            expires_at,
        }
    }

    /// The entry of a grant that waits for its person's confirmation.
    #[must_use]
    pub fn of_candidate(candidate: &PendingConnection, sign_in: &SignIn) -> Self {
        Self {
            connection: candidate.connection.clone(),
            provider: sign_in.provider.clone(),
            subject: candidate.grant.account.sub.clone(),
            session: candidate.grant.proof.session.clone(),
            algorithm: candidate.grant.proof.algorithm.clone(),
            waiting: Some(sign_in.nonce.clone()),
            expires_at: sign_in.expires_at,
        }
    }
}

impl ProviderSessionIndex {
    /// Notes a connection, or that it ends later, and forgets what has ended.
    pub fn enter(&mut self, login: ProviderSession, now: Timestamp) {
        self.leave(&login.connection, now);
        self.logins.push(login);
        let surplus = self.logins.len().saturating_sub(MOST);
        self.logins.drain(..surplus);
    }

    /// Forgets a connection, and what has ended.
    pub fn leave(&mut self, id: &ConnectionId, now: Timestamp) {
        self.logins
            .retain(|known| known.expires_at > now && known.connection != *id);
    }

    /// When the last of them ends.
    #[must_use]
    pub fn ends_at(&self, now: Timestamp) -> Timestamp {
        let ends = self.logins.iter().map(|login| login.expires_at);
        ends.max().unwrap_or(now)
    }
}

/// That a logout token was used.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConsumedLogoutToken {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::IdTokenAnchor;

    #[test]
    fn found_b7_a_record_without_an_algorithm_reads_as_not_known() {
        let older = serde_json::json!({
            "connection": format!("abcdef.{}", "c".repeat(22)),
            "provider": "lab-api",
            "subject": "alice",
            "session": "s",
            "expires_at": 1_800_000_000_000_u64,
        });
        let read: ProviderSession = serde_json::from_value(older).unwrap();
        assert_eq!(read.algorithm, None);
        let anchor = serde_json::json!({"issued_at": 1, "auth_time": null, "oidc_nonce": "n"});
        let read: IdTokenAnchor = serde_json::from_value(anchor).unwrap();
        assert_eq!(read.algorithm, None);
    }
}
