//! A connection and its grant.

use std::time::Duration;

use hubkey_protocol::{
    Account, Connection as ConnectionMessage, ConnectionId, ProviderId, Scopes, TokenAnswer,
    secret::{self, IdToken, OidcNonce},
};
use serde::{Deserialize, Serialize};

use crate::{
    access_request::AccessRequest,
    clock::Timestamp,
    identity::ServerIdentity,
    provider::ProviderConfig,
    refresh_state::{RefreshState, TokenNeed},
    rejection::Rejection,
    token_set::TokenSet,
};

/// What a finished sign-in gives to one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    /// The id of the connection, by which kernels name it.
    pub id: ConnectionId,
    /// Whose it is: of this very server token.
    pub kernel: ServerIdentity,
    /// Further servers of the same user that use it, where the operator has connections shared so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ServerIdentity>,
    /// The id of the provider that granted it.
    pub provider: ProviderId,
    /// What was asked for.
    pub wish: AccessRequest,
    /// When the person signed in.
    pub since: Timestamp,
    /// From when its life is counted.
    pub extended_at: Timestamp,
    /// What only the broker sees, and the access token.
    pub grant: Grant,
    /// Who is using the refresh token.
    pub renewal: RefreshState,
    /// What a refresh brought whose ID token could not be judged yet; nobody gets it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<Unverified>,
    /// Which of its tokens was rejected last, by the `serial` of its grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

/// An access token that is held back until the key of its ID token is there (OpenID Connect Core 1.0 section 12.2). The
/// refresh token that came with it is the connection's already.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unverified {
    /// What came, without its refresh token.
    pub tokens: TokenSet<Option<Scopes>>,
    /// The ID token.
    #[serde(serialize_with = "secret::exposed")]
    pub id_token: IdToken,
    /// When it came: the ID token is judged as of then.
    pub came_at: Timestamp,
    /// Whether it is the connection's own token, and not one for a part of what it may.
    pub own: bool,
}

/// What a provider granted, and to which account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Of the verified ID token.
    pub issuer: String,
    /// Of the verified ID token.
    pub account: Account,
    /// Its newest tokens, and what it permits.
    pub tokens: TokenSet,
    /// `Bearer`.
    pub token_type: String,
    /// How often it was refreshed.
    pub serial: u64,
    /// What the ID token of the sign-in said, for those of later refreshes.
    pub proof: IdTokenAnchor,
    /// Whether it still permits what it permitted at the sign-in.
    #[serde(default)]
    pub narrowing: Narrowing,
}

/// What became of a grant whose refresh token was used for a token of fewer scopes. RFC 6749 section 6 wants the next refresh
/// token to be as wide as the one before; some providers make it as narrow as the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Narrowing {
    /// It was not used so.
    #[default]
    Never,
    /// It was used so; the next refresh of its own token tells.
    Possible,
    /// It lost scopes by that. What was asked for at the sign-in says no more what it permits.
    Lost,
}

impl Narrowing {
    /// After a token of fewer scopes was fetched.
    #[must_use]
    pub fn downscoped(self) -> Self {
        match self {
            Self::Never => Self::Possible,
            known @ (Self::Possible | Self::Lost) => known,
        }
    }

    /// After a refresh of the grant's own token, which had these scopes before and has those now.
    #[must_use]
    pub fn refreshed(self, before: &Scopes, now: &Scopes) -> Self {
        match self {
            Self::Possible if !now.covers(before) => Self::Lost,
            known @ (Self::Never | Self::Possible | Self::Lost) => known,
        }
    }
}

impl Grant {
    /// Whole seconds that the token is still valid; 0 also where nobody knows.
    #[must_use]
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        self.tokens.lifetime().seconds_left(now)
    }

    /// Whether revoking the refresh token of `other` may revoke this grant too: both came of one session at the provider,
    /// and both have `offline_access` or neither has.
    #[must_use]
    pub fn shares_session_grant_with(&self, other: &Self) -> bool {
        self.tokens.refresh_token.is_some()
            && self.proof.session.is_some()
            && self.proof.session == other.proof.session
            && self.issuer == other.issuer
            && self.outlives_its_session() == other.outlives_its_session()
    }

    fn outlives_its_session(&self) -> bool {
        let mut scopes = self.tokens.scopes.iter();
        scopes.any(|scope| scope.as_str() == "offline_access")
    }
}

/// What later ID tokens of the same grant are compared with (OpenID Connect Core 1.0 section 12.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IdTokenAnchor {
    /// `iat` of the last one, in Unix seconds.
    pub issued_at: u64,
    /// `auth_time` of the first one.
    pub auth_time: Option<u64>,
    /// The nonce of the sign-in.
    #[serde(serialize_with = "secret::exposed")]
    pub oidc_nonce: OidcNonce,
    /// The provider's session (`sid`), if it said so; a logout there names it.
    #[serde(default)]
    pub session: Option<String>,
    /// What the one of the sign-in was signed with, by its name in RFC 7518; absent where that is not known: there was
    /// none, or the record is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
}

/// A grant that waits for its person's confirmation. Its connection id is chosen already, so that however often the
/// confirmation arrives, at most one connection comes of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingConnection {
    /// The id that the connection will have.
    pub connection: ConnectionId,
    /// The grant.
    pub grant: Grant,
    /// Whether this hub user was connected to another account there before.
    pub replaces_account: bool,
}

/// So many servers share one connection; the first ones give way.
const MAX_OTHERS: usize = 16;

impl Connection {
    /// Whether it is of this very server: made there, or shared with it.
    #[must_use]
    pub fn is_of(&self, kernel: &ServerIdentity) -> bool {
        self.servers().any(|server| server.is_same_server(kernel))
    }

    /// Each server that uses it; first the one that it was made for, while that runs.
    pub fn servers(&self) -> impl Iterator<Item = &ServerIdentity> {
        std::iter::once(&self.kernel).chain(&self.others)
    }

    /// From now on it is of this server too. The server before it of the same name is gone.
    pub fn share_with(&mut self, kernel: &ServerIdentity) {
        self.others.retain(|other| other.server != kernel.server);
        self.others.push(kernel.clone());
        let surplus = self.others.len().saturating_sub(MAX_OTHERS);
        self.others.drain(..surplus);
    }

    /// The servers go that have ended. `false` where none would be left; then nothing changes.
    pub fn leave(&mut self, ended: impl Fn(&ServerIdentity) -> bool) -> bool {
        let mut left: Vec<_> = self
            .servers()
            .filter(|kernel| !ended(kernel))
            .cloned()
            .collect();
        if left.is_empty() {
            return false;
        }
        self.kernel = left.remove(0);
        self.others = left;
        true
    }

    /// The grant is gone: nothing may be drawn from it, and no refresh token is left.
    pub fn end(&mut self) {
        self.renewal = RefreshState::Ended;
        self.grant.tokens.refresh_token = None;
        self.unverified = None;
    }

    /// Whether only a person can make it give a token again, as far as is known here.
    #[must_use]
    pub fn waits_for_a_person(&self, now: Timestamp) -> bool {
        match self.renewal {
            RefreshState::Ended => true,
            RefreshState::Suspended { .. } => !self.is_valid_for(now, 1),
            RefreshState::Idle
            | RefreshState::Resting { .. }
            | RefreshState::Refreshing { .. }
            | RefreshState::Unknown
            | RefreshState::Recovering { .. }
            | RefreshState::Unverified { .. } => false,
        }
    }

    /// Whether a token of this connection is what the wish asks for.
    #[must_use]
    pub fn satisfies(&self, provider: &ProviderId, wish: &AccessRequest) -> bool {
        self.provider == *provider
            && self.wish.audience == wish.audience
            && self.wish.resource == wish.resource
            && self.is_of_account(wish.account.as_deref())
            && (self.grant.tokens.scopes.covers(&wish.scopes)
                || self.grant.narrowing != Narrowing::Lost && self.wish.scopes.covers(&wish.scopes))
    }

    /// Whether it is of the account of this name, if one is named.
    #[must_use]
    pub fn is_of_account(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| {
            self.wish.account.as_deref() == Some(name) || self.grant.account.matches_name(name)
        })
    }

    /// What a token that is valid for `min_valid` seconds more needs. `spread`, about 1, keeps replicas out of step.
    #[must_use]
    pub fn need(&self, now: Timestamp, min_valid: u64, spread: f64) -> TokenNeed {
        if self.renewal == RefreshState::Ended {
            return TokenNeed::SignIn;
        }
        if Rejection::is_of(self.rejection, self.grant.serial) {
            return match self.grant.tokens.refresh_token {
                Some(_) => TokenNeed::Refresh { usable: false },
                None => TokenNeed::SignIn,
            };
        }
        let lifetime = self.grant.tokens.lifetime();
        let need = lifetime.need(now, min_valid, spread);
        if need == TokenNeed::Nothing || self.grant.tokens.refresh_token.is_some() {
            return need;
        }
        match lifetime.seconds_left(now) {
            _ if lifetime.is_valid_for(now, min_valid.max(1)) => TokenNeed::Nothing,
            0 => TokenNeed::SignIn,
            left => TokenNeed::TooLong(left),
        }
    }

    /// Whether its life should be counted anew because a kernel uses it.
    #[must_use]
    pub fn needs_touch(&self, now: Timestamp, life: Duration) -> bool {
        self.renewal != RefreshState::Ended && self.extended_at.after(life / 8) <= now
    }

    /// Whether its access token is valid for `seconds` more. One whose end is not known counts as valid.
    #[must_use]
    pub fn is_valid_for(&self, now: Timestamp, seconds: u64) -> bool {
        self.grant.tokens.lifetime().is_valid_for(now, seconds)
    }

    /// The connection as its kernel sees it now.
    #[must_use]
    pub fn message(&self, provider: &ProviderConfig, now: Timestamp) -> ConnectionMessage {
        ConnectionMessage {
            id: self.id.clone(),
            provider: self.provider.clone(),
            display_name: provider.display_name.clone(),
            account: self.grant.account.clone(),
            scopes: self.grant.tokens.scopes.clone(),
            audience: self.wish.audience.clone(),
            resource: self.wish.resource.clone(),
            expires_at: self.grant.tokens.expires_at.map(Timestamp::as_secs),
            expires_in: self.grant.tokens.expires_in(now),
            refreshable: self.grant.tokens.refresh_token.is_some(),
            api_origins: provider.api_origins.clone(),
            token_type: self.grant.token_type.clone(),
        }
    }

    /// Its access token as its kernel gets it now.
    #[must_use]
    pub fn token(&self, now: Timestamp) -> TokenAnswer {
        let grant = &self.grant;
        grant.tokens.answer(&grant.token_type, Vec::new(), now)
    }
}
