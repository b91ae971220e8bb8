//! What a kernel asks a provider for.

use hubkey_protocol::Scopes;
use serde::{Deserialize, Serialize};

/// What a kernel asks for: the request, after the provider's policy filled in what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Scopes.
    pub scopes: Scopes,
    /// The audience, if any.
    pub audience: Option<String>,
    /// The resource (RFC 8707), if any.
    pub resource: Option<String>,
    /// Whose account, if not any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}
