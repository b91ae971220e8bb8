//! `POST /v1/sign-ins`

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use hubkey_protocol::{
    CreateSignIn, CreateSignInAnswer, ErrorCode, bounds::Bound, path::IDEMPOTENCY_KEY_HEADER,
};
use hubkey_service::http::{Failure, Json};

use crate::use_cases::{KernelCredentials, sign_in::open::SignInRequests};

/// Answers with a connection of this very server, or opens a sign-in.
#[utoipa::path(
    post, path = hubkey_protocol::path::SIGN_INS, operation_id = "create_sign_in", tag = "sign-ins",
    request_body = CreateSignIn,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]*$", description = "A repeated request gets the same answer for 60 s.")),
    responses(
        (status = 200, body = CreateSignInAnswer, description = "A connection that fits exists"),
        (status = 201, body = CreateSignInAnswer, description = "A person has to sign in"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(sign_ins): State<Arc<SignInRequests>>,
    credentials: KernelCredentials,
    headers: HeaderMap,
    Json(request): Json<CreateSignIn>,
) -> Result<(StatusCode, Json<CreateSignInAnswer>), Failure> {
    let key = idempotency_key(&headers)?;
    let answer = sign_ins.create_sign_in(&credentials, &request, key).await?;
    let status = match &answer {
        CreateSignInAnswer::Connected { .. } => StatusCode::OK,
        CreateSignInAnswer::Opened(_) => StatusCode::CREATED,
    };
    Ok((status, Json(answer)))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY_HEADER).iter();
    let Some(first) = given.next() else {
        return Ok(None);
    };
    match (first.to_str(), given.next()) {
        (Ok(key), None)
            if (1..=Bound::IdempotencyKey.limit()).contains(&key.len()) && !key.contains('\t') =>
        {
            Ok(Some(key))
        }
        _ => Err(Failure::new(
            ErrorCode::BadRequest,
            "The idempotency key is not usable.",
            "Send one Idempotency-Key of 1 to 255 visible characters.",
        )),
    }
}
