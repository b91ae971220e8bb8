//! A reply, honest or not: status, headers and body are free, and so is the speed at which they come.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

/// How fast a reply comes, and whether it comes whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At once, with a content length.
    #[default]
    AtOnce,
    /// Not even a head, ever.
    Never,
    /// After a while.
    After(Duration),
    /// The head at once, the body in pieces of `bytes`, one every `every`, without a content length.
    Drip {
        /// The size of a piece.
        bytes: usize,
        /// The pause before each piece.
        every: Duration,
    },
    /// The body again and again without an end, chunked.
    Endless,
    /// The connection breaks after so many bytes of the body.
    CutAfter(usize),
}

/// A reply to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers; repetitions are possible.
    pub headers: HeaderMap,
    /// The body as it is sent.
    pub body: Bytes,
    /// Its pace.
    pub pace: Pace,
}

impl Reply {
    /// An empty reply.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            pace: Pace::AtOnce,
        }
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::json_text(value.to_string())
    }

    /// 200 with any text called JSON: doubled keys, NaN, half an object.
    #[must_use]
    pub fn json_text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK)
            .typed("application/json")
            .with_body(text)
    }

    /// 200 with an HTML page.
    #[must_use]
    pub fn html(page: &str) -> Self {
        Self::new(StatusCode::OK)
            .typed("text/html; charset=utf-8")
            .with_body(page.to_owned())
    }

    /// A redirect with this status (301, 302, 303, 307, 308).
    #[must_use]
    pub fn redirect(status: StatusCode, location: &str) -> Self {
        Self::new(status).header("location", location)
    }

    /// The OAuth error of RFC 6749, 5.2.
    #[must_use]
    pub fn oauth_error(status: StatusCode, code: &str) -> Self {
        Self::json(&serde_json::json!({ "error": code })).with_status(status)
    }

    /// With another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With another body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With another pace.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// With this content type in place of the one before.
    #[must_use]
    pub fn typed(mut self, content_type: &'static str) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// With one more header. A name or value that HTTP cannot carry is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// Changes the JSON of the body; a body that is no JSON stays as it is.
    pub fn edit_json(&mut self, edit: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_slice(&self.body) {
            edit(&mut value);
            self.body = value.to_string().into();
        }
    }

    /// Changes the body as text: for what no JSON value can express.
    pub fn edit_text(&mut self, edit: impl FnOnce(String) -> String) {
        self.body = edit(String::from_utf8_lossy(&self.body).into_owned()).into();
    }

    /// Where a redirect goes.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION)?.to_str().ok()
    }

    /// Sends it at its pace.
    pub(super) async fn send(self) -> Response {
        match self.pace {
            Pace::Never => std::future::pending().await,
            Pace::After(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        let mut response = Response::new(match self.pace {
            Pace::Drip { bytes, every } => drip(self.body, bytes, every),
            Pace::Endless => endless(self.body),
            Pace::CutAfter(bytes) => cut(self.body, bytes),
            Pace::AtOnce | Pace::Never | Pace::After(_) => Body::from(self.body),
        });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn drip(body: Bytes, bytes: usize, every: Duration) -> Body {
    Body::from_stream(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let piece = rest.split_to(bytes.clamp(1, rest.len()));
        Some((Ok::<_, Infallible>(piece), rest))
    }))
}

fn endless(body: Bytes) -> Body {
    Body::from_stream(stream::unfold(body, |piece| async move {
        // The consumer may be as fast as we are: let others run.
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(piece.clone()), piece))
    }))
}

fn cut(mut body: Bytes, bytes: usize) -> Body {
    let head = body.split_to(bytes.min(body.len()));
    Body::from_stream(stream::unfold(Some(head), |head| async move {
        if let Some(head) = head {
            return Some((Ok(head), None));
        }
        // Time for the first bytes to leave before the connection breaks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
    }))
}
