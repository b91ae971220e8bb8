//! The parameters of an authorization request that hubkey sets itself.

use hubkey_domain::provider::ProviderConfig;
use hubkey_protocol::provider_rules::ProviderRule;
use url::Url;

use crate::IdpError;

/// What hubkey sets itself, and what would change how the answer comes back. Neither the settings nor the endpoint's
/// own query may hold one: a parameter stands once (RFC 6749 section 3.1).
pub const RESERVED: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "audience",
    "resource",
    "request",
    "request_uri",
];

/// Whether the settings' extra parameters leave ours alone.
pub(crate) fn check_parameters(config: &ProviderConfig) -> Result<(), IdpError> {
    let mut names = config.extra_authorization_parameters.keys();
    if names.any(|name| RESERVED.contains(&name.as_str())) {
        return Err(IdpError::Misconfigured("extra_authorization_parameters"));
    }
    Ok(())
}

/// Whether the endpoint's own query leaves ours and the settings' parameters alone.
pub(crate) fn check_endpoint(endpoint: &Url, parameters: &[String]) -> Result<(), IdpError> {
    let taken = endpoint.query_pairs().any(|(name, _)| {
        RESERVED.contains(&&*name) || parameters.iter().any(|other| *other == name)
    });
    if taken {
        return Err(IdpError::RuleBroken(
            ProviderRule::AuthorizationEndpointQuery,
        ));
    }
    Ok(())
}
