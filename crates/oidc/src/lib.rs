//! Identity providers: discovery, the authorize URL, one code exchange, and the judgement of what comes back.
//!
//! [`open`] makes an [`OidcProvider`] or, for a provider without OpenID Connect, a `PlainProvider`. Its calls go through
//! `outbound` (where to, how long, how much), its documents through `json`, `discovery`, `jwks` and `token`, its ID tokens
//! through `jwt` and `id_token`. `registration` proves who the client is, wherever that is asked. Access tokens are never
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
mod assertion;
mod authorize;
mod discovery;
mod error;
mod exchange;
mod id_token;
mod identity_provider;
mod json;
mod jwks;
mod jwt;
mod kept;
mod keyring;
mod logout_token;
mod messages;
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

use std::sync::Arc;

use hubkey_domain::{
    chance::RandomSource,
    clock::Clock,
    provider::{Endpoints, ProviderConfig},
};

pub use assertion::{KeyFault, check_key};
pub use error::{IdpError, OAuthError, UserinfoError};
pub use identity_provider::IdentityProvider;
pub use messages::{
    Authorization, AuthorizationRequest, Exchange, ExchangeError, Granted, Known, Logout,
    Redemption, RefreshError, Refreshable, Refreshed, VerifyError,
};
pub use oidc::{OidcProvider, provider};
pub use outbound::are_authorities;
pub use parameters::RESERVED;
use plain::PlainProvider;

/// Takes a provider as configured, of either kind. Asks nothing of it: one that is down does not keep the broker from
/// starting.
pub fn open(
    config: ProviderConfig,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
) -> Result<Arc<dyn IdentityProvider>, IdpError> {
    Ok(match config.endpoints {
        Endpoints::Plain(_) => Arc::new(PlainProvider::new(config, clock, chance)?),
        Endpoints::Discovered { .. } | Endpoints::Explicit { .. } => {
            Arc::new(provider(config, clock, chance)?)
        }
    })
}
