//! `POST /v1/sign-ins/{nonce}/ack`

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use hubkey_service::http::Failure;

use super::poll::Poll;
use crate::use_cases::{KernelCredentials, sign_in::acknowledge::AcknowledgeSignIn};

/// Confirms that the result arrived. Twice is as good as once.
#[utoipa::path(
    post, path = hubkey_protocol::path::SIGN_IN_ACK, operation_id = "acknowledge", tag = "sign-ins",
    params(
        ("nonce" = hubkey_protocol::Nonce, Path, description = "The sign-in's nonce"),
        ("Hubkey-Poll-Secret" = String, Header, description = "What the kernel got when it opened the sign-in"),
    ),
    responses(
        (status = 204, description = "Closed"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(acknowledgements): State<Arc<AcknowledgeSignIn>>,
    credentials: KernelCredentials,
    poll: Poll,
) -> Result<StatusCode, Failure> {
    acknowledgements
        .acknowledge(&credentials, &poll.nonce, &poll.secret)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
