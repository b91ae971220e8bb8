//! `POST /v1/connections/{id}/token`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{Problem, TokenAnswer, TokenRequest};
use hubkey_service::http::{Failure, Json};

use super::of_connection::OfConnection;
use crate::use_cases::{KernelCredentials, tokens::get::AccessTokens};

/// An access token of a connection, valid for at least as long as asked.
#[utoipa::path(
    post, path = hubkey_protocol::path::CONNECTION_TOKEN, operation_id = "token", tag = "connections",
    params(("id" = String, Path, description = "The connection's id")),
    request_body = TokenRequest,
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
    State(tokens): State<Arc<AccessTokens>>,
    credentials: KernelCredentials,
    OfConnection(id): OfConnection,
    Json(request): Json<TokenRequest>,
) -> Result<Json<TokenAnswer>, Failure> {
    Ok(Json(tokens.get(&credentials, &id, &request).await?))
}
