//! `POST /v1/connections/{id}/token`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{TokenAnswer, TokenRequest};
use hubkey_service::http::{Failure, Json};

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, tokens::get::AccessTokens};

/// An access token of a connection, valid for at least as long as asked.
#[utoipa::path(
    post, path = hubkey_protocol::path::CONNECTION_TOKEN, operation_id = "token", tag = "connections",
    params(("id" = hubkey_protocol::ConnectionId, Path, description = "The connection's id")),
    request_body = TokenRequest,
    responses(
        (status = 200, body = TokenAnswer, description = "An access token"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(tokens): State<Arc<AccessTokens>>,
    credentials: KernelCredentials,
    OfConnection(id): OfConnection,
    Json(request): Json<TokenRequest>,
) -> Result<Json<TokenAnswer>, Failure> {
    Ok(Json(tokens.get(&credentials, &id, &request).await?))
}
