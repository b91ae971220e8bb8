//! Failures as pages, where the callers are people.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::failure::Failure;

type Page = dyn Fn(&Failure) -> http::Response<String> + Send + Sync;

/// Makes the page for a failure that the listener itself answers: a request that cannot be read, a limit, a handler that
/// panicked or took too long.
#[derive(Clone)]
pub struct ErrorPages(Arc<Page>);

impl ErrorPages {
    /// Pages that are made anew each time.
    pub fn new(page: impl Fn(&Failure) -> http::Response<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(page))
    }

    /// The page in place of a problem document, with the other headers of that. Any other response stays as it is.
    pub(super) fn in_place_of(&self, response: Response) -> Response {
        let Some(failure) = response.extensions().get::<Failure>().cloned() else {
            return response;
        };
        let (told, _) = response.into_parts();
        let (mut parts, body) = (self.0)(&failure).into_parts();
        for (name, value) in &told.headers {
            if ![CONTENT_TYPE, CONTENT_LENGTH].contains(name) && !parts.headers.contains_key(name) {
                parts.headers.insert(name, value.clone());
            }
        }
        parts.extensions = told.extensions;
        Response::from_parts(parts, Body::from(body))
    }

    fn raw_response(&self, failure: &Failure) -> Vec<u8> {
        let (mut parts, body) = (self.0)(failure).into_parts();
        let headers = &mut parts.headers;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let mut answer = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
        write_fields(&mut answer, headers);
        answer.extend_from_slice(body.as_bytes());
        answer
    }
}

/// The whole response to a failure as bytes, where no HTTP exchange can take place any more: a page where the callers are
/// people, since who asks is not known, else a problem document.
pub(super) fn raw_response(pages: Option<&ErrorPages>, failure: &Failure) -> Vec<u8> {
    match pages {
        Some(pages) => pages.raw_response(failure),
        None => failure.raw_response(),
    }
}

/// Whether a browser asks, which can show a page (RFC 9110 section 12.5.1).
pub(super) fn accepts_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut ranges = accepted.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    ranges.any(|range| {
        let media_type = range.split(|byte| *byte == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
    })
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

impl fmt::Debug for ErrorPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorPages")
    }
}
