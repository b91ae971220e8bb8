//! `GET /v1/connections/{id}/userinfo`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::UserInfo;
use hubkey_service::http::{Failure, Json};

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, tokens::userinfo::UserInfoRequests};

/// What the provider says of the account of a connection.
#[utoipa::path(
    get, path = hubkey_protocol::path::CONNECTION_USERINFO, operation_id = "userinfo", tag = "connections",
    params(("id" = hubkey_protocol::ConnectionId, Path, description = "The connection's id")),
    responses(
        (status = 200, body = UserInfo, description = "The claims"),
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
