//! Lets nobody but callback-server reach the internal listener: it shows the shared secret.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION};
use hubkey_protocol::{ErrorCode, secret::SharedSecret};
use hubkey_service::http::Failure;

use super::kernel_credentials::bearer;

pub(super) async fn gate(
    State(secrets): State<Arc<Vec<SharedSecret>>>,
    request: Request,
    next: Next,
) -> Response {
    if admits(&secrets, request.headers()) {
        next.run(request).await
    } else {
        Failure::new(
            ErrorCode::MissingToken,
            "Only callback-server may ask here.",
            "Give both servers the same shared secret.",
        )
        .into_response()
    }
}

fn admits(secrets: &[SharedSecret], headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(first), None) = (given.next(), given.next()) else {
        return false;
    };
    let Some(given) = first.to_str().ok().and_then(bearer).map(SharedSecret::new) else {
        return false;
    };
    // Each is compared, so that the time does not tell which one it was.
    secrets
        .iter()
        .fold(false, |admitted, secret| admitted | secret.matches(&given))
}
