//! Identity providers: discovery, the authorize URL, one code exchange, and the judgement of what comes back.
//!
//! [`open`] makes an [`OidcProvider`] or, for a provider without OpenID Connect, a `PlainProvider`. Its calls go through
//! `outbound` (where to, how long, how much), its documents through `json`, `discovery`, `jwks` and `token`, its ID tokens
//! through `jwt` and `id_token`. `registration` proves who
//! hubkey is, wherever that is asked. Access tokens are never read (RFC 9068 section 6).

mod account;
mod algorithm;
mod assertion;
mod authorize;
mod discovery;
mod exchange;
mod id_token;
mod json;
mod jwks;
mod jwt;
mod kept;
mod keyring;
mod logout_token;
mod oidc;
mod outbound;
mod parameters;
mod plain;
mod pushed;
mod refresh;
mod registration;
mod revocation;
mod token;
mod userinfo;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_protocol::{
    Account, ProviderState, Scopes,
    secret::{
        AccessToken, AuthorizationCode, LogoutToken, OidcNonce, PkceVerifier, RefreshToken, State,
    },
};
use serde_json::{Map, Value};

use crate::domain::{
    chance::Chance,
    clock::{Clock, Timestamp},
    connection::{Grant, Proof, Unverified},
    provider::{Endpoints, ProviderConfig},
    refusal::Refusal,
};

pub use assertion::{KeyFault, check_key};
pub use exchange::{Exchange, ExchangeError, Exchanged};
pub use logout_token::Logout;
pub use oidc::{OidcProvider, provider};
pub use outbound::are_authorities;
pub use parameters::RESERVED;
use plain::PlainProvider;
pub use refresh::{Known, RefreshError, Refreshable, Refreshed, VerifyError};

/// Takes a provider as configured, of either kind. Asks nothing of it: one that is down does not keep the broker from
/// starting.
pub fn open(
    config: ProviderConfig,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
) -> Result<Arc<dyn IdentityProvider>, IdpError> {
    Ok(match config.endpoints {
        Endpoints::Plain(_) => Arc::new(PlainProvider::new(config, clock, chance)?),
        Endpoints::Discovered { .. } | Endpoints::Explicit { .. } => {
            Arc::new(provider(config, clock, chance)?)
        }
    })
}

/// One provider, as flows see it.
#[async_trait]
pub trait IdentityProvider: fmt::Debug + Send + Sync {
    /// What the operator configured.
    fn config(&self) -> &ProviderConfig;

    /// The public keys by which hubkey proves itself there, as a JWK Set (RFC 7517 section 5), where they are published.
    fn key_set(&self) -> Option<&Value> {
        None
    }

    /// Whether it could be reached lately; asks nothing.
    fn state(&self) -> ProviderState;

    /// For how long its token endpoint is not asked because it failed again and again; asks nothing.
    fn rest(&self) -> Option<Duration>;

    /// The URL that begins an authorization (RFC 6749 section 4.1.1 with RFC 7636 and OpenID Connect).
    async fn authorize(
        &self,
        request: &AuthorizationRequest<'_>,
    ) -> Result<Authorization, IdpError>;

    /// Checks the issuer of an authorization response, also of an error (RFC 9207 section 2.4). Done before the code
    /// is touched.
    async fn check_response_issuer(
        &self,
        expected: &str,
        given: Option<&str>,
    ) -> Result<(), IdpError>;

    /// Redeems a code, once, and judges the ID token.
    async fn redeem(&self, redemption: Redemption) -> Result<Granted, IdpError>;

    /// Whether a refresh could be judged: asks for what is not known yet, and touches no refresh token.
    async fn ready(&self) -> Result<(), IdpError>;

    /// Asks the token endpoint for something harmless, to learn whether it works at all, and how it refuses.
    async fn answers(&self) -> Result<Option<Refusal>, IdpError>;

    /// Sends a refresh token, once, and not after its time (RFC 6749 section 6). Judges the ID token, if there is one.
    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError>;

    /// Judges what an earlier refresh brought, as of then, now that its key may be there: `iat` of its ID token. Sends no
    /// refresh token.
    async fn verify(
        &self,
        _known: Known<'_>,
        _unverified: &Unverified,
    ) -> Result<Option<u64>, VerifyError> {
        Ok(None)
    }

    /// Exchanges an access token of this provider for one of another API, or of a provider behind it (RFC 8693). Uses
    /// nothing up.
    async fn exchange(&self, exchange: Exchange<'_>) -> Result<Exchanged, ExchangeError>;

    /// What its userinfo endpoint says of the account of this grant, asked with the grant's access token.
    async fn userinfo(&self, _grant: &Grant) -> Result<Map<String, Value>, IdpError> {
        Err(IdpError::Misconfigured("userinfo_endpoint"))
    }

    /// Judges a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6).
    async fn logout(&self, _token: &LogoutToken) -> Result<Logout, IdpError> {
        Err(IdpError::Misconfigured("no_backchannel_logout"))
    }

    /// Asks the provider to forget tokens (RFC 7009), refresh token first. Nothing waits for the outcome.
    async fn revoke(&self, access_token: &AccessToken, refresh_token: Option<&RefreshToken>);
}

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
    pub url: State,
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
    /// The access token.
    pub access_token: AccessToken,
    /// `Bearer`.
    pub token_type: String,
    /// Before the request was sent.
    pub obtained_at: Timestamp,
    /// When it ends, counted from `obtained_at`; absent where the provider did not say.
    pub expires_at: Option<Timestamp>,
    /// The refresh token, if any.
    pub refresh_token: Option<RefreshToken>,
    /// What was granted.
    pub scopes: Scopes,
    /// What ID tokens of later refreshes are compared with.
    pub proof: Proof,
}

/// Why a provider did not do as asked. Carries none of the provider's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdpError {
    /// It could not be reached, or says that it has trouble. Nothing was redeemed.
    #[error("the provider did not answer")]
    Unavailable,
    /// The code may have been redeemed, and the answer was lost. Never tried again (SECURITY R3).
    #[error("the provider's answer was lost")]
    OutcomeUnknown,
    /// It refused with this code of RFC 6749 or OpenID Connect.
    #[error("the provider refused")]
    Refused(OAuthError),
    /// What it sent breaks a rule; the word names the rule.
    #[error("the provider broke a rule: {0}")]
    Misbehaved(&'static str),
    /// Its metadata and the settings do not fit together; the word names what.
    #[error("the provider's metadata and the settings do not fit: {0}")]
    Misconfigured(&'static str),
}

impl IdpError {
    /// Whether what it sent was longer than hubkey takes, and nothing else is known to be wrong with it.
    #[must_use]
    pub fn is_too_long(self) -> bool {
        matches!(self, Self::Misbehaved(word) if [outbound::TOO_LONG, jwt::TOO_LONG, userinfo::TOO_LONG].contains(&word))
    }
}

/// The standard error codes of authorization and token endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthError {
    /// `access_denied`
    AccessDenied,
    /// `login_required`, `interaction_required`, `consent_required`, `account_selection_required`, `invalid_request_uri`
    InteractionRequired,
    /// `invalid_scope`, `invalid_target`
    NotOffered,
    /// `temporarily_unavailable`, `server_error`
    Unavailable,
    /// `invalid_client`, `unauthorized_client`, `invalid_request`, `unsupported_response_type` and their like
    Misconfigured,
    /// `invalid_grant`
    InvalidGrant,
    /// Any other.
    Other,
}

impl OAuthError {
    /// Reads an `error` parameter or member.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        match code {
            "access_denied" => Self::AccessDenied,
            // The last: the pushed request is over, and the person has to begin anew.
            "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required"
            | "invalid_request_uri" => Self::InteractionRequired,
            "invalid_scope" | "invalid_target" => Self::NotOffered,
            "temporarily_unavailable" | "server_error" => Self::Unavailable,
            // All but the first are GitHub's words.
            "invalid_grant" | "bad_refresh_token" | "bad_verification_code" => Self::InvalidGrant,
            "invalid_client"
            | "unauthorized_client"
            | "invalid_request"
            | "unsupported_response_type"
            | "unsupported_grant_type"
            | "incorrect_client_credentials"
            | "redirect_uri_mismatch"
            | "request_not_supported"
            | "request_uri_not_supported" => Self::Misconfigured,
            _ => Self::Other,
        }
    }

    /// A code that is a standard's or known, as one of our own words; any other says nothing to us.
    #[must_use]
    pub fn standard(code: &str) -> Option<&'static str> {
        STANDARD.into_iter().find(|known| *known == code)
    }
}

/// What token endpoints say (RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 8707 section 2, OpenID Connect
/// Core 1.0 section 3.1.2.6), and GitHub's words.
const STANDARD: [&str; 20] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "insufficient_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "login_required",
    "interaction_required",
    "consent_required",
    "account_selection_required",
    "incorrect_client_credentials",
    "redirect_uri_mismatch",
    "bad_refresh_token",
    "bad_verification_code",
];
