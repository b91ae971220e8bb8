//! The spans of one request: one for the log, with the request's id, and one for traces.

use axum::response::Response;
use http::HeaderValue;
use http::header::HOST;
use http::request::Parts;
use hubkey_protocol::trace::{TRACE, TRACEPARENT_HEADER};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::telemetry::traces;

/// No name of a host is longer (RFC 1035 section 2.3.4).
const LONGEST_HOST: usize = 255;

/// What a listener does about traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TraceRule {
    /// Its requests are in none.
    Untraced,
    /// Its requests are in traces of their own, whatever callers say.
    Begin,
    /// Callers are programs of kernels: their requests may name the trace that they are part of.
    Continue,
    /// The caller is the other server: what it does not trace, such as its own upkeep, is in no trace. It is told which
    /// trace its request has joined.
    Follow,
}

/// The span for traces, if there is to be one. `scheme` is that of the listener.
pub(super) fn begin(
    rule: TraceRule,
    scheme: &'static str,
    method: &'static str,
    head: &Parts,
) -> Span {
    let above = match rule {
        TraceRule::Untraced => return Span::none(),
        TraceRule::Begin => None,
        TraceRule::Continue | TraceRule::Follow => traces::parent_of(&head.headers),
    };
    if rule == TraceRule::Follow && above.is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TRACE,
        "request",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        url.scheme = scheme,
        server.address = host(head),
        error.type = Empty,
    );
    if let Some(above) = above {
        // It fails where there are no traces.
        let _ = span.set_parent(above);
    }
    span
}

/// Notes how a request was answered; to be called inside its span.
pub(super) fn end(span: &Span, method: &'static str, route: Option<&str>, response: &Response) {
    if let Some(route) = route {
        traces::rename(format!("{method} {route}"));
        span.record("http.route", route);
    }
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}

/// Names the trace of the sign-in that the request belonged to, for a caller that is believed.
pub(super) fn add_joined_trace(response: &mut Response) {
    let place = traces::joined().map(|place| place.to_string());
    if let Some(value) = place.and_then(|place| HeaderValue::try_from(place).ok()) {
        response.headers_mut().insert(TRACEPARENT_HEADER, value);
    }
}

/// The host that was asked for, if it is of the form of one; without a port.
fn host(head: &Parts) -> Option<&str> {
    let text = head.headers.get(HOST)?.to_str().ok()?;
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    };
    let is_host = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    (is_host && (1..=LONGEST_HOST).contains(&host.len())).then_some(host)
}
