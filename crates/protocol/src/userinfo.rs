//! What a provider says of an account.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The answer to `GET /v1/connections/{id}/userinfo`: the provider's userinfo document, as it is.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserInfo {
    /// The claims. `sub` is the account of the connection; nobody but the provider vouches for the others.
    #[schema(value_type = Object)]
    pub claims: Map<String, Value>,
}
