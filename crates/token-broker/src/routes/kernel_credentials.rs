//! Takes the server token of a kernel's request: from one `Authorization` header and from nowhere else.

use axum::extract::FromRequestParts;
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use hubkey_protocol::{ErrorCode, secret::ServerToken};
use hubkey_service::http::{ClientAddr, Failure};

use crate::use_cases::KernelCredentials;

impl<S: Sync> FromRequestParts<S> for KernelCredentials {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let token = token(&parts.headers)?;
        Ok(Self {
            token,
            client: parts
                .extensions
                .get::<ClientAddr>()
                .map(|client| client.network()),
        })
    }
}

fn token(headers: &HeaderMap) -> Result<ServerToken, Failure> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let first = given.next().ok_or_else(missing)?;
    if given.next().is_some() {
        return Err(Failure::new(
            ErrorCode::BadRequest,
            "The request has more than one Authorization header.",
            "Send one, with this server's JUPYTERHUB_API_TOKEN.",
        ));
    }
    let text = first.to_str().map_err(|_| missing())?;
    bearer(text).map(ServerToken::new).ok_or_else(missing)
}

/// The token of a `Bearer` or `token` credential; the scheme's case does not matter (RFC 9110 section 11.1).
pub(super) fn bearer(credential: &str) -> Option<&str> {
    let (scheme, token) = credential.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    (known && !token.is_empty()).then_some(token)
}

fn missing() -> Failure {
    Failure::new(
        ErrorCode::MissingToken,
        "The request has no usable Authorization header.",
        "Send this server's JUPYTERHUB_API_TOKEN as `Authorization: Bearer …`.",
    )
}
