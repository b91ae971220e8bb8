//! What the Hub tells of its single-user servers.

use serde::{Deserialize, Serialize};

/// `POST /v1/servers/ended`: a server ended, and its server token with it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerEnded {
    /// The owner's name in the Hub.
    pub user: String,
    /// The server's name; empty for the default one.
    pub server: String,
}
