//! What a kernel may know about a configured provider.

use serde::{Deserialize, Serialize};

use crate::{ProviderId, Scopes};

/// The answer to `GET /v1/providers`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderList {
    /// In the operator's order.
    pub providers: Vec<Provider>,
}

/// One configured provider.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Provider {
    /// What `connect()` takes.
    pub id: ProviderId,
    /// What people read.
    pub display_name: String,
    /// Asked for when `connect()` names no scopes.
    pub default_scopes: Scopes,
    /// What `connect()` may ask for.
    pub allowed_scopes: Scopes,
    /// The origins (`https://host[:port]`) that tokens of this provider are sent to.
    pub api_origins: Vec<String>,
    /// Whether the provider could be reached lately.
    pub status: ProviderStatus,
}

/// What the broker last saw of a provider's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderStatus {
    /// Metadata was read, or the endpoints are configured.
    Ready,
    /// Not asked yet.
    Unknown,
    /// The last attempt failed; a sign-in tries again.
    Unavailable,
}
