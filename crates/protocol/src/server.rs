//! What the Hub tells of its single-user servers.

use serde::{Deserialize, Serialize};

use crate::secret::{self, ServerToken};

/// `POST /v1/servers/stopped`: the Hub stopped a server, and its server token ended with it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerStopped {
    /// The owner's name in the Hub.
    pub user: String,
    /// The server's name; empty for the default one.
    pub server: String,
    /// When the Hub made the owner, as its API says it. Without it the name alone tells whose server it was.
    #[serde(default)]
    pub created: Option<String>,
    /// The server's own token, which is good for nothing any more: what was made with it ends, whatever its owner is called
    /// by now. A Hub that was started anew meanwhile does not know it.
    #[serde(default, serialize_with = "secret::exposed_option")]
    #[schema(value_type = Option<String>)]
    pub token: Option<ServerToken>,
}
