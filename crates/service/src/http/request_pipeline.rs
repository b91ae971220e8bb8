//! What every request of a listener passes through before and after its handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Request};
use hubkey_protocol::ErrorCode;
use hyper::body::Incoming;
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::body::read_body;
use super::client_addr::ClientAddr;
use super::connection_state::ConnectionState;
use super::encryption::Encryption;
use super::error_pages::{ErrorPages, accepts_page};
use super::failure::{Failure, chain};
use super::head;
use super::head_scanner::LineEndings;
use super::layers::Route;
use super::limits::Limits;
use super::request_id::{self, RequestId};
use super::span::{self, TraceRule};
use crate::telemetry::{Metrics, class};

/// The pipeline of one listener.
#[derive(Debug)]
pub(super) struct RequestPipeline {
    pub(super) name: &'static str,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) router: Router,
    pub(super) encryption: Option<Encryption>,
    pub(super) traces: TraceRule,
    /// Where the callers are people.
    pub(super) error_pages: Option<ErrorPages>,
    /// Places for heads that are longer than what is taken.
    pub(super) long_heads: Arc<Semaphore>,
    /// Notifies the connection that is idle longest that its place is needed.
    pub(super) evict_idle: Arc<Notify>,
}

/// A request that came before the one ahead of it was answered. No client of ours sends such, and where a proxy in front
/// took both for one, an answer would go to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("a request came behind another that was not answered yet")]
pub(super) struct PipelinedRequest;

/// Of so many places one is kept free, as long as there are idle connections that can give theirs.
const RESERVED_SHARE: usize = 16;

impl RequestPipeline {
    /// Evicts the connection that is idle longest, where so many taken places are nearly all.
    pub(super) fn evict_if_nearly_full(&self, taken: usize) {
        let all = self.limits.connections;
        if taken > all - all / RESERVED_SHARE {
            self.evict_idle.notify_one();
        }
    }

    fn scheme(&self) -> &'static str {
        if self.encryption.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// Answers one request, whatever it is.
    pub(super) async fn answer(
        self: Arc<Self>,
        socket: SocketAddr,
        state: ConnectionState,
        request: Request<Incoming>,
    ) -> Result<Response, PipelinedRequest> {
        let length = request.body().size_hint().lower();
        let line_endings = state.begin_request(length).ok_or(PipelinedRequest)?;
        // Where chunks end, readers have disagreed more than once: nothing is read behind them.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        let started = Instant::now();
        let method = method_word(request.method());
        let (head, body) = request.into_parts();
        let id = RequestId::of_request(&head.headers);
        let pages = self.error_pages.as_ref();
        let pages = pages.filter(|_| accepts_page(&head.headers));
        let log = tracing::info_span!(target: "hubkey", "request", request_id = %id);
        // Inside the other, for what runs on in a task of its own takes the innermost one along.
        let span = log.in_scope(|| span::begin(self.traces, self.scheme(), method, &head));
        let request = Request::from_parts(head, body);
        let handled = self
            .handle(socket, &id, line_endings, request)
            .instrument(span.clone())
            .instrument(log.clone())
            .await;
        let is_last = is_last || handled.is_err();
        let response = handled.unwrap_or_else(IntoResponse::into_response);
        let mut response = match pages {
            Some(pages) => pages.in_place_of(response),
            None => response,
        };
        if is_last {
            response = closing(response);
        }
        head::finish(&mut response);
        if let Some(value) = id.header_value() {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        log.in_scope(|| {
            span.in_scope(|| {
                self.log(method, &response, started);
                span::end(&span, method, route(&response), &response);
                if self.traces == TraceRule::Follow {
                    span::add_joined_trace(&mut response);
                }
            });
        });
        Ok(response.map(|body| state.end_with(body)))
    }

    /// `Err` means that the connection is not to be used again.
    async fn handle(
        &self,
        socket: SocketAddr,
        id: &RequestId,
        line_endings: LineEndings,
        request: Request<Incoming>,
    ) -> Result<Response, Failure> {
        let (mut parts, body) = request.into_parts();
        head::check_form(&parts, line_endings)?;
        let oversized = match head::check_size(&parts, &self.limits) {
            Err(oversized) if self.error_pages.is_none() => {
                return Err(oversized.failure(&self.limits));
            }
            checked => checked.err(),
        };
        let client = ClientAddr::of_request(socket, &parts.headers, &self.limits.trusted_proxies);
        head::remove_forwarded_headers(&mut parts.headers);
        head::mark_sensitive_request(&mut parts.headers);
        parts.extensions.insert(client);
        parts.extensions.insert(id.clone());
        if let Some(oversized) = oversized {
            parts.extensions.insert(oversized);
            return Ok(closing(self.route(parts, Body::empty()).await));
        }
        let body = read_body(body, &self.limits).await?;
        Ok(self.route(parts, Body::from(body)).await)
    }

    async fn route(&self, parts: Parts, body: Body) -> Response {
        let request = Request::from_parts(parts, body);
        let handled = self.router.clone().oneshot(request);
        match tokio::time::timeout(self.limits.handler_timeout, handled).await {
            Ok(Ok(response)) => response,
            Err(_) => Failure::of(ErrorCode::Timeout)
                .retry_after(1)
                .into_response(),
        }
    }

    /// One log line and one measurement. Neither has the address that was asked for: it may hold a ticket or a code.
    fn log(&self, method: &'static str, response: &Response, started: Instant) {
        let elapsed = started.elapsed();
        let route = route(response).unwrap_or("none");
        let status = response.status();
        let labels = [
            ("listener", self.name),
            ("method", method),
            ("route", route),
            ("status", class(status)),
        ];
        self.metrics.request(&labels, elapsed);
        let failure = response.extensions().get::<Failure>();
        let code = failure.and_then(|failure| code_word(failure.code()));
        let cause = failure.and_then(chain);
        let latency_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let status_code = status.as_u16();
        let listener = self.name;
        // The macros want their level as a literal.
        if status.is_server_error() {
            tracing::warn!(
                listener,
                method,
                route,
                status = status_code,
                code,
                cause,
                latency_ms,
                "request failed"
            );
        } else {
            tracing::info!(
                listener,
                method,
                route,
                status = status_code,
                code,
                cause,
                latency_ms,
                "request answered"
            );
        }
    }
}

/// Says that nothing more is read on this connection.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// The template of the route that answered.
fn route(response: &Response) -> Option<&str> {
    let route = response.extensions().get::<Route>()?;
    Some(route.0.as_str())
}

/// A code as it stands on the wire.
fn code_word(code: ErrorCode) -> Option<String> {
    serde_json::to_value(code)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
}

/// A method out of a closed set, since clients can invent methods and each would be a new series.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
