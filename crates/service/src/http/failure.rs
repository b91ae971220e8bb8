//! How a failure is answered: one match makes the response, the cause goes to the log only.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use hubkey_protocol::{ErrorCode, Problem};

/// A request that failed. As a response it is a problem document; the cause never leaves the process.
#[derive(Debug, Clone)]
pub struct Failure {
    code: ErrorCode,
    title: Cow<'static, str>,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with the sentences that its row in the table of failures has.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        let row = code.row();
        Self::new(code, row.title, row.remedy)
    }

    /// A failure of which there is more to say than its row in the table of failures: what happened, and what to do.
    pub fn new(
        code: ErrorCode,
        title: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            title: title.into(),
            detail: detail.into(),
            retry_after: None,
            cause: None,
        }
    }

    /// What everything that is unknown, foreign, expired or misspelt is answered with, so that nothing can be learned
    /// from the difference.
    #[must_use]
    pub fn not_found() -> Self {
        Self::of(ErrorCode::NotFound)
    }

    /// A fault of ours.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::of(ErrorCode::Internal).because(cause)
    }

    /// Adds after how many seconds it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds the cause, for the log line.
    #[must_use]
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The stable word.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn problem(&self) -> Problem {
        Problem {
            status: self.code.status(),
            code: self.code,
            title: self.title.clone().into_owned(),
            detail: self.detail.clone().into_owned(),
            retry_after: self.retry_after,
        }
    }

    /// The whole response as bytes, for a connection on which no HTTP exchange can take place any more.
    pub(super) fn raw_response(&self) -> Vec<u8> {
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
             connection: close\r\n\r\n",
            self.status(),
            Problem::CONTENT_TYPE,
            body.len(),
        );
        [head.into_bytes(), body].concat()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(Problem::CONTENT_TYPE),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

/// A cause and what caused it, in one line.
pub(super) fn chain(failure: &Failure) -> Option<String> {
    let mut next = failure.source();
    let mut texts = Vec::new();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    (!texts.is_empty()).then(|| texts.join(": "))
}
