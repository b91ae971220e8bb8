//! The security headers of every answer, whatever made it (`docs/reference/security-rules.md`, D6).

use axum::response::Response;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
};

use crate::pages::policy;

const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // `same-origin` would let another page of the same origin keep a handle on ours, and read it.
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("noopener-allow-popups"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// As [`add`], to a response.
pub(crate) async fn complete(mut response: Response) -> Response {
    add(response.headers_mut());
    response
}

/// Adds what the handler did not set. A page brings its own policies; anything else, such as a redirect, must not tell
/// the next site where the browser was.
pub(crate) fn add(headers: &mut HeaderMap) {
    headers.extend(ALWAYS);
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert_with(|| policy(""));
    headers
        .entry(REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
}
