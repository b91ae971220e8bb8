//! Heads that are too large: what their sender gets.

use hubkey_protocol::ErrorCode;

use super::failure::Failure;
use super::limits::Limits;

/// What of a head is too large. A router behind
/// [`Server::with_error_pages`](super::Server::with_error_pages) finds it among the extensions of a request, whose body was
/// not read, and has to do nothing but answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OversizedHead {
    /// The request target.
    Address,
    /// The header fields, most often the cookies.
    Header,
}

impl OversizedHead {
    /// The answer for programs.
    pub(super) fn failure(self, limits: &Limits) -> Failure {
        match self {
            Self::Address => Failure::new(
                ErrorCode::UriTooLong,
                "The address is too long.",
                format!("Send an address of at most {} bytes.", limits.url_bytes),
            ),
            Self::Header => Failure::new(
                ErrorCode::HeadersTooLarge,
                "The header is too large.",
                format!(
                    "Send at most {} header fields and {} bytes in all.",
                    limits.headers, limits.head_bytes
                ),
            ),
        }
    }
}
