//! `POST /v1/servers/stopped`

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use hubkey_protocol::ServerStopped;
use hubkey_service::http::{Failure, Json};
use tracing::Instrument;

use crate::use_cases::{KernelCredentials, connections::server_stopped::StoppedServers};

/// The Hub tells that a server ended: its connections end, and its sign-ins that wait for a person.
#[utoipa::path(
    post, path = hubkey_protocol::path::SERVERS_STOPPED, operation_id = "server_stopped", tag = "servers",
    request_body = ServerStopped,
    responses(
        (status = 204, description = "Nothing of that server is left"),
    ),
    security(("service_token" = []))
)]
pub(super) async fn handler(
    State(servers): State<Arc<StoppedServers>>,
    credentials: KernelCredentials,
    Json(ended): Json<ServerStopped>,
) -> Result<StatusCode, Failure> {
    // The Hub's hook does not wait long; what it began is carried out all the same.
    let work = async move { servers.server_stopped(&credentials, &ended).await }.in_current_span();
    tokio::spawn(work).await.map_err(Failure::internal)??;
    Ok(StatusCode::NO_CONTENT)
}
