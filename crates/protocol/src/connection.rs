//! Connections and the access tokens drawn from them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AccessTokenHash, ConnectionId, ProviderId, Scopes, scope,
    secret::{self, AccessToken},
};

/// What a finished sign-in gives to one single-user server.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Connection {
    /// The id of the connection, by which kernels name it.
    pub id: ConnectionId,
    /// The id of the provider that granted it.
    pub provider: ProviderId,
    /// The provider's name for people.
    pub display_name: String,
    /// The account that signed in at the provider.
    pub account: Account,
    /// What the provider granted; as requested where it did not say (RFC 6749 section 5.1).
    pub scopes: Scopes,
    /// The audience that the sign-in asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The resource (RFC 8707) that the sign-in asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// When the current access token ends, in Unix seconds by the broker's clock; absent where the provider did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The same in seconds from this answer on: what whoever gets it goes by, whatever its own clock says. Absent in the result
    /// of a sign-in, which is repeated to the byte: there the answer's `Date` says when it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Whether the broker can get a new access token when this one ends, without a person.
    #[serde(default)]
    pub refreshable: bool,
    /// The origins (`https://host[:port]`) that the token may be sent to; empty means nowhere by itself.
    pub api_origins: Vec<String>,
    /// `Bearer`.
    pub token_type: String,
}

impl Connection {
    /// As it is repeated to the byte, whenever that is.
    #[must_use]
    pub fn repeatable(self) -> Self {
        Self {
            expires_in: None,
            ..self
        }
    }

    /// As it came just now, told at that moment of the broker's clock, with the end by the clock of whoever got it.
    #[must_use]
    pub fn by_own_clock(mut self, told_at: Duration, now: Duration) -> Self {
        self.expires_in = self.expires_in.or(left(self.expires_at, told_at));
        self.expires_at = end(self.expires_at, self.expires_in, now);
        self
    }
}

/// Who signed in at the provider, from the verified ID token, cut to what a kernel may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Account {
    /// The provider's own id of the account.
    pub sub: String,
    /// `name` or `preferred_username`, for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `email`, for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl Account {
    /// What a person recognises the account by.
    #[must_use]
    pub fn label(&self) -> &str {
        self.email
            .as_deref()
            .or(self.name.as_deref())
            .unwrap_or(&self.sub)
    }

    /// Whether somebody who names an account so may mean this one.
    #[must_use]
    pub fn matches_name(&self, name: &str) -> bool {
        let email = self.email.as_deref();
        self.sub == name
            || self.name.as_deref() == Some(name)
            || email.is_some_and(|email| email.eq_ignore_ascii_case(name))
    }
}

/// The answer to `GET /v1/connections`: those made with the very server token that asks.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConnectionList {
    /// Newest first.
    pub connections: Vec<Connection>,
}

/// `POST /v1/connections/{id}/token`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenRequest {
    /// The token must be valid for at least so many seconds more.
    pub min_valid_seconds: u64,
    /// A token of these scopes only; all of the connection's where left out.
    #[serde(
        deserialize_with = "scope::requested",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = scope::requested_schema)]
    pub scopes: Option<Scopes>,
    /// A token for this audience; the connection's own where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// A token for this resource (RFC 8707); the connection's own where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The hash of a token that an API rejected before its end: another one is given, or why there is none. At most one a
    /// minute and connection is replaced so; then the answer is `provider_rejects_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_ath: Option<AccessTokenHash>,
}

impl TokenRequest {
    /// A token that is valid for so many seconds more.
    #[must_use]
    pub fn lasting(seconds: u64) -> Self {
        Self {
            min_valid_seconds: seconds,
            ..Self::default()
        }
    }

    /// Another token than this one, which an API rejected.
    #[must_use]
    pub fn in_place_of(rejected: AccessTokenHash) -> Self {
        Self {
            rejected_ath: Some(rejected),
            ..Self::default()
        }
    }
}

/// `POST /v1/connections/{id}/exchange`: a token of another API, or of another provider behind this one (RFC 8693). What
/// is exchanged is the connection's own token, and nothing that a kernel sends.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExchangeRequest {
    /// The audience that the token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The resource (RFC 8707) that the token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What it has to permit; what the provider gives where left out.
    #[serde(
        deserialize_with = "scope::requested",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = scope::requested_schema)]
    pub scopes: Option<Scopes>,
    /// A provider behind this one whose token is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_issuer: Option<String>,
    /// The token must be valid for at least so many seconds more.
    pub min_valid_seconds: u64,
    /// The hash of a token that an API rejected before its end: another one is given, or why there is none. At most one a
    /// minute and connection is replaced so; then the answer is `provider_rejects_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_ath: Option<AccessTokenHash>,
}

/// An access token and what is known about it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenAnswer {
    /// The token itself.
    #[serde(serialize_with = "secret::exposed")]
    #[schema(value_type = String)]
    pub access_token: AccessToken,
    /// `Bearer`.
    pub token_type: String,
    /// When it ends, in Unix seconds by the broker's clock; absent where the provider did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The same in seconds from this answer on (RFC 6749 section 5.1): what whoever gets it goes by, whatever its own clock
    /// says. Absent in the result of a sign-in, which is repeated to the byte: there the answer's `Date` says when it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// What it permits.
    pub scopes: Scopes,
    /// The origins that an exchanged token may be sent to. Absent for other tokens: those of the connection count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_origins: Vec<String>,
}

impl TokenAnswer {
    /// As it is repeated to the byte, whenever that is.
    #[must_use]
    pub fn repeatable(self) -> Self {
        Self {
            expires_in: None,
            ..self
        }
    }

    /// As it came just now, told at that moment of the broker's clock, with the end by the clock of whoever got it.
    #[must_use]
    pub fn by_own_clock(mut self, told_at: Duration, now: Duration) -> Self {
        self.expires_in = self.expires_in.or(left(self.expires_at, told_at));
        self.expires_at = end(self.expires_at, self.expires_in, now);
        self
    }
}

/// Both by one clock, since 1970.
fn left(expires_at: Option<u64>, now: Duration) -> Option<u64> {
    expires_at.map(|end| end.saturating_sub(now.as_secs()))
}

/// Of clocks that agree, the broker's word stands: what two answers say of one token is then equal to the second.
fn end(expires_at: Option<u64>, left: Option<u64>, now: Duration) -> Option<u64> {
    const AGREE: u64 = 2;
    let own = now.as_secs().saturating_add(left?);
    Some(
        expires_at
            .filter(|theirs| theirs.abs_diff(own) <= AGREE)
            .unwrap_or(own),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_d1_an_end_is_told_by_the_own_clock_unless_the_two_agree() {
        let at = |now| end(Some(1000), Some(300), Duration::from_secs(now));
        assert_eq!([698, 700, 702].map(at), [Some(1000); 3]);
        assert_eq!([697, 703, 90_000].map(at), [997, 1003, 90_300].map(Some));
        assert_eq!(end(Some(1000), None, Duration::ZERO), None);
    }
}
