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
use super::encryption::Encryption;
use super::failure::{Failure, chain};
use super::head;
use super::layers::Route;
use super::limits::Limits;
use super::long_head::FarTooLong;
use super::peer::Peer;
use super::phase::Phase;
use super::request_id::{self, RequestId};
use super::scan::Lines;
use super::span::{self, TraceRule};
use crate::telemetry::{Metrics, class};

/// The front of one listener.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) name: &'static str,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) router: Router,
    pub(super) encryption: Option<Encryption>,
    pub(super) traces: TraceRule,
    /// Where the callers are people.
    pub(super) far_too_long: Option<FarTooLong>,
    /// Places for heads that are longer than what is taken.
    pub(super) long_heads: Arc<Semaphore>,
    /// Tells the connection that is idle longest to leave.
    pub(super) make_room: Arc<Notify>,
}

/// A request that came before the one ahead of it was answered. No client of ours sends such, and where a proxy in front
/// took both for one, an answer would go to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("a request came behind another that was not answered yet")]
pub(super) struct Unasked;

/// Of so many places one is kept free, as long as there are idle connections that can give theirs.
const KEPT_FREE: usize = 16;

impl Front {
    /// Asks the connection that is idle longest for its place, where so many taken ones are nearly all.
    pub(super) fn keep_room(&self, taken: usize) {
        let all = self.limits.connections;
        if taken > all - all / KEPT_FREE {
            self.make_room.notify_one();
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
        phase: Phase,
        request: Request<Incoming>,
    ) -> Result<Response, Unasked> {
        let length = request.body().size_hint().lower();
        let lines = phase.begin_request(length).ok_or(Unasked)?;
        // Where chunks end, readers have disagreed more than once: nothing is read behind them.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        let started = Instant::now();
        let method = method_word(request.method());
        let (head, body) = request.into_parts();
        let id = RequestId::of_request(&head.headers);
        let log = tracing::info_span!(target: "hubkey", "request", request_id = %id);
        // Inside the other, for what runs on in a task of its own takes the innermost one along.
        let span = log.in_scope(|| span::begin(self.traces, self.scheme(), method, &head));
        let request = Request::from_parts(head, body);
        let handled = self
            .handle(socket, &id, lines, request)
            .instrument(span.clone())
            .instrument(log.clone())
            .await;
        let is_last = is_last || handled.is_err();
        let mut response = handled.unwrap_or_else(IntoResponse::into_response);
        if is_last {
            response = closing(response);
        }
        head::finish(&mut response);
        if let Some(value) = id.header_value() {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        log.in_scope(|| {
            span.in_scope(|| {
                self.tell(method, &response, started);
                span::end(&span, method, route(&response), &response);
                if self.traces == TraceRule::Follow {
                    span::tell_joined(&mut response);
                }
            });
        });
        Ok(response.map(|body| phase.end_with(body)))
    }

    /// `Err` means that the connection is not to be used again.
    async fn handle(
        &self,
        socket: SocketAddr,
        id: &RequestId,
        lines: Lines,
        request: Request<Incoming>,
    ) -> Result<Response, Failure> {
        let (mut parts, body) = request.into_parts();
        head::check_form(&parts, lines)?;
        let too_long = match head::check_size(&parts, &self.limits) {
            Err(too_long) if self.far_too_long.is_none() => {
                return Err(too_long.failure(&self.limits));
            }
            checked => checked.err(),
        };
        let peer = Peer::of_request(socket, &parts.headers, &self.limits.trusted_proxies);
        head::remove_hearsay(&mut parts.headers);
        head::mark_sensitive_request(&mut parts.headers);
        parts.extensions.insert(peer);
        parts.extensions.insert(id.clone());
        if let Some(too_long) = too_long {
            parts.extensions.insert(too_long);
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
    fn tell(&self, method: &'static str, response: &Response, started: Instant) {
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
