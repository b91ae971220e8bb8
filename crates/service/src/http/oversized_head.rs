//! Heads that are too large: what their sender gets.

use std::fmt;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Response};
use hubkey_protocol::ErrorCode;

use super::failure::Failure;
use super::limits::Limits;

/// What of a head is too large. A router behind
/// [`Server::with_oversized_head_page`](super::Server::with_oversized_head_page) finds it among
/// the extensions of a request, whose body was not read, and has to do nothing but answer.
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

/// Makes the page for a head of which not even the end is read.
#[derive(Clone)]
pub struct OversizedHeadPage(Arc<dyn Fn() -> Response<String> + Send + Sync>);

impl OversizedHeadPage {
    /// A page that is made anew each time.
    pub fn new(page: impl Fn() -> Response<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(page))
    }

    /// The whole response as bytes: no HTTP exchange can take place any more.
    pub(super) fn raw_response(&self) -> Vec<u8> {
        let (mut parts, body) = (self.0)().into_parts();
        let headers = &mut parts.headers;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let mut answer = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
        write_fields(&mut answer, headers);
        answer.extend_from_slice(body.as_bytes());
        answer
    }
}

fn write_fields(answer: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
}

impl fmt::Debug for OversizedHeadPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OversizedHeadPage")
    }
}
