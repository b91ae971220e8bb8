//! `GET /v1/connections`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{ConnectionList, Problem};
use hubkey_service::http::{Failure, Json};

use crate::flows::{Asker, Flows};

/// The connections made with the very server token that asks, newest first.
#[utoipa::path(
    get, path = hubkey_protocol::path::CONNECTIONS, operation_id = "connections", tag = "connections",
    responses(
        (status = 200, body = ConnectionList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(flows): State<Arc<Flows>>,
    asker: Asker,
) -> Result<Json<ConnectionList>, Failure> {
    Ok(Json(flows.connections(&asker).await?))
}
