//! `DELETE /v1/sign-ins/{nonce}`

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use hubkey_service::http::Failure;

use super::poll::Poll;
use crate::use_cases::{KernelCredentials, sign_in::cancel::CancelSignIn};

/// Ends an open sign-in; its link is dead from then on.
#[utoipa::path(
    delete, path = hubkey_protocol::path::SIGN_IN, operation_id = "cancel", tag = "sign-ins",
    params(
        ("nonce" = hubkey_protocol::Nonce, Path, description = "The sign-in's nonce"),
        ("Hubkey-Poll-Secret" = String, Header, description = "What the kernel got when it opened the sign-in"),
    ),
    responses(
        (status = 204, description = "Ended"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(cancellations): State<Arc<CancelSignIn>>,
    credentials: KernelCredentials,
    poll: Poll,
) -> Result<StatusCode, Failure> {
    cancellations
        .cancel(&credentials, &poll.nonce, &poll.secret)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
