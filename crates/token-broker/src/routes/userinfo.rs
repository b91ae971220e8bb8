//! `GET /v1/connections/{id}/userinfo`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{Problem, UserInfo};
use hubkey_service::http::{Failure, Json};

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, tokens::userinfo::UserInfoRequests};

/// What the provider says of the account of a connection.
#[utoipa::path(
    get, path = hubkey_protocol::path::CONNECTION_USERINFO, operation_id = "userinfo", tag = "connections",
    params(("id" = String, Path, description = "The connection's id")),
    responses(
        (status = 200, body = UserInfo),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Unknown, or not yours"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A person has to sign in"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The provider has no userinfo for this token"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Not now"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(accounts): State<Arc<UserInfoRequests>>,
    credentials: KernelCredentials,
    OfConnection(id): OfConnection,
) -> Result<Json<UserInfo>, Failure> {
    Ok(Json(accounts.userinfo(&credentials, &id).await?))
}
