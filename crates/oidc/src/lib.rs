//! Identity providers: discovery, the authorize URL, one code exchange, and the judgement of what comes back.
//!
//! [`open`] makes an [`OidcProvider`] or, for a provider without OpenID Connect, an `OAuth2Provider`. Its calls go through
//! `http_client` (where to, how long, how much), its documents through `json`, `discovery`, `jwks` and `token`, its ID tokens
//! through `jwt` and `id_token`. `client_auth` proves who the client is, wherever that is asked. Access tokens are never
//! read (RFC 9068 section 6).
//!
//! Of our crates this one knows `hubkey-domain` and `hubkey-protocol`. What is built upon it cannot be named in it:
//!
//! ```compile_fail,E0433
//! use hubkey_token_broker::use_cases::Broker;
//! ```
//!
//! That line is a doc test of `hubkey-token-broker` too, where it compiles. What is below can be named:
//!
//! ```
//! use hubkey_domain::provider::ProviderConfig;
//! use hubkey_oidc::IdentityProvider;
//!
//! fn config(provider: &dyn IdentityProvider) -> &ProviderConfig {
//!     provider.config()
//! }
//! ```

mod account;
mod algorithm;
mod authorize;
mod cached_document;
mod client_assertion;
mod client_auth;
mod discovery;
mod error;
mod exchange;
mod http_client;
mod id_token;
mod identity_provider;
mod json;
mod jwks;
mod jwt;
mod keyring;
mod logout_token;
mod messages;
mod oauth2;
mod oidc;
mod par;
mod parameters;
mod refresh;
mod refusal;
mod revocation;
mod token;
mod userinfo;

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    provider::{Endpoints, ProviderConfig},
    random::RandomSource,
};

pub use client_assertion::{KeyFault, check_key};
pub use error::{IdpError, OAuthError, UserinfoError};
pub use http_client::{are_authorities, may_go_through_proxy};
pub use identity_provider::IdentityProvider;
pub use messages::{
    Authorization, AuthorizationRequest, Exchange, ExchangeError, Granted, Known, Logout,
    Redemption, RefreshError, Refreshable, Refreshed, RevocationOutcome, VerifyError,
};
use oauth2::OAuth2Provider;
pub use oidc::{OidcProvider, provider};
pub use parameters::RESERVED;

/// Takes a provider as configured, of either kind. Asks nothing of it: one that is down does not keep the broker from
/// starting.
pub fn open(
    config: ProviderConfig,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
) -> Result<Arc<dyn IdentityProvider>, IdpError> {
    Ok(match config.endpoints {
        Endpoints::OAuth2(_) => Arc::new(OAuth2Provider::new(config, clock, chance)?),
        Endpoints::Discovered { .. } | Endpoints::Explicit { .. } => {
            Arc::new(provider(config, clock, chance)?)
        }
    })
}
