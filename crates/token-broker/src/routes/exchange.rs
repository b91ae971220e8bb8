//! `POST /v1/connections/{id}/exchange`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{ExchangeRequest, TokenAnswer};
use hubkey_service::http::{Failure, Json};

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, tokens::exchange::TokenExchange};

/// An access token that the connection's own was exchanged for (RFC 8693).
#[utoipa::path(
    post, path = hubkey_protocol::path::CONNECTION_EXCHANGE, operation_id = "exchange", tag = "connections",
    params(("id" = hubkey_protocol::ConnectionId, Path, description = "The connection's id")),
    request_body = ExchangeRequest,
    responses(
        (status = 200, body = TokenAnswer, description = "An access token"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(exchanges): State<Arc<TokenExchange>>,
    credentials: KernelCredentials,
    OfConnection(id): OfConnection,
    Json(request): Json<ExchangeRequest>,
) -> Result<Json<TokenAnswer>, Failure> {
    Ok(Json(exchanges.exchange(&credentials, &id, &request).await?))
}
