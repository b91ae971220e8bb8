//! `GET /v1/sign-ins/{nonce}`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::SignInStatus;
use hubkey_service::http::{Failure, Json};

use super::poll::Poll;
use crate::use_cases::{KernelCredentials, sign_in::poll::PollSignIn};

/// Waits up to 25 s for the end of a sign-in. The result is repeated, with the same bytes, until it is acknowledged.
#[utoipa::path(
    get, path = hubkey_protocol::path::SIGN_IN, operation_id = "sign_in_status", tag = "sign-ins",
    params(
        ("nonce" = hubkey_protocol::Nonce, Path, description = "The sign-in's nonce"),
        ("Hubkey-Poll-Secret" = String, Header, description = "What the kernel got when it opened the sign-in"),
    ),
    responses(
        (status = 200, body = SignInStatus, description = "What has become of it so far"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(sign_ins): State<Arc<PollSignIn>>,
    credentials: KernelCredentials,
    poll: Poll,
) -> Result<Json<SignInStatus>, Failure> {
    Ok(Json(
        sign_ins
            .sign_in_status(&credentials, &poll.nonce, &poll.secret)
            .await?,
    ))
}
