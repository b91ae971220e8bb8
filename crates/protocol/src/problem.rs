//! Errors as problem documents (RFC 9457).

use serde::{Deserialize, Serialize};

use crate::ErrorCode;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// The HTTP status, repeated.
    pub status: u16,
    /// The stable word.
    pub code: ErrorCode,
    /// A sentence that says what happened.
    pub title: String,
    /// A sentence that says what to do.
    pub detail: String,
    /// Seconds after which to try again, as in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// The media type of a problem document.
    pub const CONTENT_TYPE: &str = "application/problem+json";
}
