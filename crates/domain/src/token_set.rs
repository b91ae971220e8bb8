//! What a token endpoint hands out (RFC 6749 section 5.1), wherever hubkey has it: read, granted, stored, derived.

use hubkey_protocol::{
    Scopes, TokenAnswer,
    secret::{self, AccessToken, RefreshToken},
};
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, refresh_state::Lifetime};

/// An access token with what belongs to it. `S` is [`Scopes`] where it is known what the token permits, and
/// `Option<Scopes>` as it came: absent where the provider did not say, which means as requested.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenSet<S = Scopes> {
    /// The access token, a bearer token (RFC 6750).
    #[serde(serialize_with = "secret::exposed")]
    pub access_token: AccessToken,
    /// The refresh token. Absent in an answer to a refresh: the one that was sent stays good (RFC 6749 section 6).
    #[serde(serialize_with = "secret::exposed_option")]
    pub refresh_token: Option<RefreshToken>,
    /// When the request for it was sent: its lifetime is counted from then.
    pub obtained_at: Timestamp,
    /// When the access token ends; absent where the provider did not say.
    pub expires_at: Option<Timestamp>,
    /// What the access token permits.
    pub scopes: S,
}

impl<S> TokenSet<S> {
    /// When the access token began and ends.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        Lifetime {
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
        }
    }

    /// The same tokens with these scopes.
    #[must_use]
    pub(crate) fn with_scopes<T>(self, scopes: T) -> TokenSet<T> {
        TokenSet {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            scopes,
        }
    }
}

impl TokenSet<Option<Scopes>> {
    /// With what was requested, where the provider did not say what it granted.
    #[must_use]
    pub fn requested(mut self, scopes: impl FnOnce() -> Scopes) -> TokenSet {
        let granted = self.scopes.take();
        self.with_scopes(granted.unwrap_or_else(scopes))
    }
}

impl TokenSet {
    /// How many whole seconds are left.
    #[must_use]
    pub fn expires_in(&self, now: Timestamp) -> Option<u64> {
        self.expires_at.map(|end| now.until(end).as_secs())
    }

    /// The access token as a kernel gets it now, to be sent to these origins only; to those of its provider where there are
    /// none.
    #[must_use]
    pub fn answer(
        &self,
        token_type: &str,
        api_origins: Vec<String>,
        now: Timestamp,
    ) -> TokenAnswer {
        TokenAnswer {
            access_token: self.access_token.clone(),
            token_type: token_type.to_owned(),
            expires_at: self.expires_at.map(Timestamp::as_secs),
            expires_in: self.expires_in(now),
            scopes: self.scopes.clone(),
            api_origins,
        }
    }
}
