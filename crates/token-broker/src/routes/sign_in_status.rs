//! `GET /v1/sign-ins/{nonce}`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{Problem, SignInStatus};
use hubkey_service::http::{Failure, Json};

use super::poll::Poll;
use crate::use_cases::{KernelCredentials, sign_in::poll::PollSignIn};

/// Waits up to 25 s for the end of a sign-in. The result is repeated, with the same bytes, until it is acknowledged.
#[utoipa::path(
    get, path = hubkey_protocol::path::SIGN_IN, operation_id = "sign_in_status", tag = "sign-ins",
    params(
        ("nonce" = String, Path, description = "The sign-in's nonce"),
        ("Hubkey-Poll-Secret" = String, Header, description = "What the kernel got when it opened the sign-in"),
    ),
    responses(
        (status = 200, body = SignInStatus),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Unknown, or not yours"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A newer poll took over"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Delivered already"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
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
