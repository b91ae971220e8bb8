//! Bodies of requests, read whole before any handler runs.

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt as _;
use hubkey_protocol::ErrorCode;

use super::failure::Failure;
use super::limits::Limits;

/// The answer to whatever took too long to arrive.
pub(super) fn slow(title: &'static str) -> Failure {
    Failure::new(
        ErrorCode::RequestTimeout,
        title,
        "Send the request again, without pauses.",
    )
}

/// Reads a body whole, within its limits, so that no handler ever waits for a slow client.
pub(super) async fn read_body<B>(body: B, limits: &Limits) -> Result<Bytes, Failure>
where
    B: HttpBody,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        let detail = format!("Send a body of at most {} bytes.", limits.body_bytes);
        Failure::new(ErrorCode::PayloadTooLarge, "The body is too large.", detail)
    };
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large());
    }
    let limited = http_body_util::Limited::new(body, limits.body_bytes);
    let collected = tokio::time::timeout(limits.body_timeout, limited.collect()).await;
    match collected {
        Err(_) => Err(slow("The body took too long.")),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Failure::new(
            ErrorCode::BadRequest,
            "The body could not be read.",
            "Send the whole body, of the length that the header says.",
        )),
    }
}
