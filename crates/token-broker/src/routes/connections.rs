//! `GET /v1/connections`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::ConnectionList;
use hubkey_service::http::{Failure, Json};

use crate::use_cases::{KernelCredentials, connections::list::ListConnections};

/// The connections made with the very server token that asks, newest first.
#[utoipa::path(
    get, path = hubkey_protocol::path::CONNECTIONS, operation_id = "connections", tag = "connections",
    responses(
        (status = 200, body = ConnectionList, description = "The connections"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(connections): State<Arc<ListConnections>>,
    credentials: KernelCredentials,
) -> Result<Json<ConnectionList>, Failure> {
    Ok(Json(connections.connections(&credentials).await?))
}
