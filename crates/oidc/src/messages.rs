//! What a provider is asked, and what it answers, whatever it speaks.

use std::{collections::BTreeMap, time::Duration};

use hubkey_domain::{
    connection::{IdTokenAnchor, Unverified},
    refusal::Refusal,
    token_set::TokenSet,
};
use hubkey_protocol::{
    Account, Scopes,
    provider_rules::ProviderRule,
    secret::{
        AccessToken, AuthorizationCode, OidcNonce, PkceVerifier, RefreshToken, SecretUrl, State,
    },
};
use tokio::time::Instant;

/// What an authorization asks for.
#[derive(Debug)]
pub struct AuthorizationRequest<'a> {
    /// Goes along as `login_hint`, where nothing else sets that.
    pub login_hint: Option<&'a str>,
    /// Scopes; `openid` is added for OpenID providers.
    pub scopes: &'a Scopes,
    /// The audience, if any.
    pub audience: Option<&'a str>,
    /// The resource (RFC 8707), if any.
    pub resource: Option<&'a str>,
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// Comes back with it.
    pub state: &'a State,
    /// Comes back in the ID token.
    pub oidc_nonce: &'a OidcNonce,
    /// Its S256 challenge goes along.
    pub verifier: &'a PkceVerifier,
}

/// Where to send the browser.
#[derive(Debug)]
pub struct Authorization {
    /// The whole URL; holds the state.
    pub url: SecretUrl,
    /// Whose authorization server that is; kept and compared at the callback.
    pub issuer: String,
}

/// A code to redeem.
#[derive(Debug)]
pub struct Redemption {
    /// The code.
    pub code: AuthorizationCode,
    /// The verifier of the challenge that went along.
    pub verifier: PkceVerifier,
    /// The nonce that went along.
    pub oidc_nonce: OidcNonce,
    /// The redirect URI that went along, to the byte.
    pub redirect_uri: String,
    /// The issuer that the request went to: its token endpoint and no other.
    pub issuer: String,
    /// What was asked for; granted where the answer does not say (RFC 6749 section 5.1).
    pub scopes: Scopes,
    /// Goes along as `resource` (RFC 8707 section 2.2).
    pub resource: Option<String>,
    /// Goes along as `audience`.
    pub audience: Option<String>,
}

/// What a provider granted, and to whom.
#[derive(Debug)]
pub struct Granted {
    /// The issuer of the verified ID token.
    pub issuer: String,
    /// Its account, cut to what a kernel may know.
    pub account: Account,
    /// Text claims of the verified ID token, and of userinfo where that is read, for the policy `claim:<name>`. `email`
    /// is among them only where the provider says that it verified it.
    pub claims: BTreeMap<String, String>,
    /// The tokens, and what was granted.
    pub tokens: TokenSet,
    /// `Bearer`.
    pub token_type: String,
    /// What ID tokens of later refreshes are compared with.
    pub proof: IdTokenAnchor,
}

/// A refresh token to send, and what the answer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Refreshable<'a> {
    /// The token.
    pub refresh_token: &'a RefreshToken,
    /// Not sent after that.
    pub send_before: Instant,
    /// The issuer that it is from: its token endpoint and no other.
    pub issuer: &'a str,
    /// Whose it is.
    pub subject: &'a str,
    /// What the ID token of the sign-in said.
    pub proof: &'a IdTokenAnchor,
    /// Goes along as `audience`.
    pub audience: Option<&'a str>,
    /// Goes along as `resource` (RFC 8707 section 2.2).
    pub resource: Option<&'a str>,
    /// Goes along as `scope`: fewer than were granted. All of them where absent.
    pub scopes: Option<&'a Scopes>,
}

impl<'a> Refreshable<'a> {
    /// What the answer is judged by.
    #[must_use]
    pub fn known(&self) -> Known<'a> {
        Known {
            issuer: self.issuer,
            subject: self.subject,
            proof: self.proof,
        }
    }
}

/// What is known of a grant before a refresh, and the answer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The issuer that it is from.
    pub issuer: &'a str,
    /// Whose it is.
    pub subject: &'a str,
    /// What the ID token of the sign-in said.
    pub proof: &'a IdTokenAnchor,
}

/// Why what an earlier refresh brought is not handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The key is still not there.
    #[error("the ID token cannot be judged yet")]
    NotYet,
    /// It is for another account or breaks another rule for ID tokens.
    #[error("the answer is not for this grant: {}", .0.name())]
    Foreign(ProviderRule),
}

/// What a refresh brought.
#[derive(Debug)]
pub struct Refreshed {
    /// The tokens; scopes as before where the provider did not say.
    pub tokens: TokenSet<Option<Scopes>>,
    /// `iat` of the ID token, if there was one.
    pub issued_at: Option<u64>,
}

/// Why a refresh brought nothing. Carries none of the provider's own text.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Nothing was sent: no connection, or it was too late.
    #[error("the provider could not be reached")]
    NotSent,
    /// Nothing was sent: the endpoint failed so often lately that it is left alone.
    #[error("the provider is left alone for a while")]
    CircuitOpen,
    /// Nothing was sent: the settings do not fit the provider.
    #[error("the settings do not fit the provider")]
    Misconfigured,
    /// The request was refused for now; the refresh token was not used.
    #[error("the provider refused for now: {refusal}")]
    Later {
        /// How.
        refusal: Refusal,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The refresh token is worth nothing any more: the provider says so in the standard's word or its own.
    #[error("the grant is gone")]
    Revoked,
    /// Hubkey's registration is refused, whatever the refresh token: the operator has to act.
    #[error("the provider refused the registration: {0}")]
    Registration(Refusal),
    /// The request was refused in other words, which may mean this refresh token.
    #[error("the provider refused: {refusal}")]
    Rejected {
        /// How.
        refusal: Refusal,
        /// Whether a refresh token that never was is refused in the same way; absent where that is not known.
        everybody: Option<bool>,
    },
    /// The refresh token may have been used, and the answer is lost or useless.
    #[error("the provider's answer was lost")]
    Lost,
    /// The answer is useless, but for the next refresh token.
    #[error("the provider's answer brought a refresh token and nothing else")]
    Unusable {
        /// The next refresh token.
        refresh_token: RefreshToken,
    },
    /// The answer is good, and the key that its ID token was signed with could not be looked up. What it brought may be
    /// judged later (OpenID Connect Core 1.0 section 12.2).
    #[error("the ID token cannot be judged yet")]
    Unverified {
        /// The next refresh token.
        refresh_token: Option<RefreshToken>,
        /// The rest of it.
        unverified: Box<Unverified>,
    },
    /// The answer is for another account or breaks another rule for ID tokens. What it brought is to be given back.
    #[error("the answer is not for this grant: {}", .rule.name())]
    Foreign {
        /// Which rule.
        rule: ProviderRule,
        /// What it brought.
        access_token: AccessToken,
        /// What it brought.
        refresh_token: Option<RefreshToken>,
    },
}

impl RefreshError {
    /// The word for measurements.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent => "connect_failed",
            Self::CircuitOpen => "circuit_open",
            Self::Misconfigured => "misconfigured",
            Self::Later { .. } => "later",
            Self::Revoked => "revoked",
            Self::Registration(_) => "registration",
            Self::Rejected { .. } => "rejected",
            Self::Lost => "response_lost",
            Self::Unusable { .. } => "unusable",
            Self::Unverified { .. } => "unverified",
            Self::Foreign { .. } => "subject_mismatch",
        }
    }
}

/// What to exchange, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The access token that is exchanged: always one out of the broker's own store.
    pub subject_token: &'a AccessToken,
    /// The issuer that it is from: its token endpoint and no other.
    pub issuer: &'a str,
    /// Goes along as `audience`.
    pub audience: Option<&'a str>,
    /// Goes along as `resource`.
    pub resource: Option<&'a str>,
    /// Goes along as `scope`.
    pub scopes: Option<&'a Scopes>,
    /// The provider behind this one whose token is wanted.
    pub requested_issuer: Option<&'a str>,
}

/// Why an exchange brought nothing. Carries none of the provider's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The provider could not be reached, or refused for now.
    #[error("the provider did not answer")]
    Unavailable {
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It gives this person, or hubkey, no such token.
    #[error("the provider refused the exchange")]
    Refused,
    /// It does not take the token that was to be exchanged, or not for that.
    #[error("the provider refused the token")]
    SubjectRefused,
    /// It refuses hubkey's registration, or breaks a rule; the operator has to act.
    #[error("the provider refused the registration or broke a rule")]
    Misconfigured,
}

/// What became of telling a provider to revoke tokens (RFC 7009).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationOutcome {
    /// It took all of it.
    Revoked,
    /// It has no endpoint for that.
    NotOffered,
    /// It refused one of them for good.
    Refused,
    /// It did not answer, however often it was told.
    Unreachable,
}

impl RevocationOutcome {
    /// The word for logs and the audit stream.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::NotOffered => "no_revocation_endpoint",
            Self::Refused => "revocation_refused",
            Self::Unreachable => "provider_unreachable",
        }
    }
}

/// Whose session ended, as a judged logout token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logout {
    /// The provider's issuer.
    pub issuer: String,
    /// The account.
    pub subject: Option<String>,
    /// The session, as ID tokens call it in `sid`.
    pub session: Option<String>,
    /// What the token was signed with, by its name in RFC 7518, where the ID token of what it ends has to be signed with the
    /// same; absent where the settings list the algorithms.
    pub algorithm: Option<&'static str>,
    /// The token's own name; the token is good once.
    pub token_id: String,
    /// For how long the token could come again.
    pub remember: Duration,
}
