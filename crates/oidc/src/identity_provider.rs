//! What every provider can do, of either kind.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use hubkey_domain::{
    connection::{Grant, Unverified},
    provider::ProviderConfig,
    refusal::Refusal,
    token_set::TokenSet,
};
use hubkey_protocol::{
    ProviderStatus, Scopes,
    provider_rules::ProviderRule,
    secret::{AccessToken, LogoutToken, RefreshToken},
};
use serde_json::{Map, Value};

use crate::{
    error::IdpError,
    messages::{
        Authorization, AuthorizationRequest, Exchange, ExchangeError, Granted, Known, Logout,
        Redemption, RefreshError, Refreshable, Refreshed, RevocationOutcome, VerifyError,
    },
};

/// One provider, as the use cases see it.
#[async_trait]
pub trait IdentityProvider: fmt::Debug + Send + Sync {
    /// What the operator configured.
    fn config(&self) -> &ProviderConfig;

    /// The public keys by which hubkey proves itself there, as a JWK Set (RFC 7517 section 5), where they are published.
    fn key_set(&self) -> Option<&Value> {
        None
    }

    /// Whether it could be reached lately; asks nothing.
    fn status(&self) -> ProviderStatus;

    /// For how long its token endpoint is not asked because it failed again and again; asks nothing.
    fn retry_after(&self) -> Option<Duration>;

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
    async fn probe(&self) -> Result<Option<Refusal>, IdpError>;

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
    async fn exchange(
        &self,
        exchange: Exchange<'_>,
    ) -> Result<TokenSet<Option<Scopes>>, ExchangeError>;

    /// What its userinfo endpoint says of the account of this grant, asked with the grant's access token.
    async fn userinfo(&self, _grant: &Grant) -> Result<Map<String, Value>, IdpError> {
        Err(IdpError::RuleBroken(ProviderRule::UserinfoEndpoint))
    }

    /// Judges a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6).
    async fn logout(&self, _token: &LogoutToken) -> Result<Logout, IdpError> {
        Err(IdpError::Misconfigured("no_backchannel_logout"))
    }

    /// Tells the provider to revoke tokens (RFC 7009), refresh token first. No person and no kernel waits for the outcome.
    async fn revoke(
        &self,
        access_token: &AccessToken,
        refresh_token: Option<&RefreshToken>,
    ) -> RevocationOutcome;
}
