//! `DELETE /v1/connections/{id}`

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use hubkey_service::http::Failure;

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, connections::sign_out::SignOut};

/// Ends a connection. Its tokens are revoked at the provider, which nobody waits for.
#[utoipa::path(
    delete, path = hubkey_protocol::path::CONNECTION, operation_id = "sign_out", tag = "connections",
    params(("id" = hubkey_protocol::ConnectionId, Path, description = "The connection's id")),
    responses(
        (status = 204, description = "Ended"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(connections): State<Arc<SignOut>>,
    credentials: KernelCredentials,
    OfConnection(id): OfConnection,
) -> Result<StatusCode, Failure> {
    connections.sign_out(&credentials, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
