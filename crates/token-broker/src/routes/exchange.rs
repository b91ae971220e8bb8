//! `POST /v1/connections/{id}/exchange`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{ExchangeRequest, Problem, TokenAnswer};
use hubkey_service::http::{Failure, Json};

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, tokens::exchange::TokenExchange};

/// An access token that the connection's own was exchanged for (RFC 8693).
#[utoipa::path(
    post, path = hubkey_protocol::path::CONNECTION_EXCHANGE, operation_id = "exchange", tag = "connections",
    params(("id" = String, Path, description = "The connection's id")),
    request_body = ExchangeRequest,
    responses(
        (status = 200, body = TokenAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not in the operator's lists"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The provider gives no such token"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Unknown, or not yours"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A person has to sign in, or no token lasts that long"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The provider refuses hubkey's registration"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Not now"),
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
