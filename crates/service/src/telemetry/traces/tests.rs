use std::sync::{Arc, Mutex};
use std::time::Duration;

use hubkey_protocol::trace::Traceparent;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::Span;
use tracing::subscriber::DefaultGuard;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// Where spans end in these tests.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Memory {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Traces of the present thread, kept in memory.
struct Kept {
    memory: Memory,
    processor: Arc<BufferingProcessor<Memory>>,
    _traces: Traces,
    _guard: DefaultGuard,
}

fn kept() -> Kept {
    let memory = Memory::default();
    let (traces, processor) = Traces::over(memory.clone(), Resource::builder_empty().build());
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    Kept {
        memory,
        processor,
        _traces: traces,
        _guard: tracing::subscriber::set_default(subscriber),
    }
}

impl Kept {
    fn spans(&self) -> Vec<SpanData> {
        self.memory.0.lock().unwrap().clone()
    }
}

fn place(sampled: bool) -> Traceparent {
    Traceparent::new(0xa, 0xb, sampled).unwrap()
}

/// A request with an inner step; `during` runs while it is open.
fn request(during: impl FnOnce(TraceId)) {
    let request = tracing::info_span!(target: TRACE, "request", otel.kind = "server");
    let _entered = request.enter();
    tracing::info_span!(target: TRACE, "step").in_scope(|| {
        tracing::info!("a line that may hold anything");
    });
    during(current_span().unwrap().trace_id().into());
}

#[test]
fn a_request_that_joins_nothing_keeps_its_own_trace() {
    let kept = kept();
    request(|_| assert!(kept.spans().is_empty(), "nothing goes on too early"));
    let spans = kept.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["step", "request"]);
    assert_eq!(spans[1].parent_span_id, SpanId::INVALID);
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
    assert!(spans.iter().all(|span| span.events.is_empty()));
}

#[test]
fn what_joins_a_sign_in_is_below_its_span_and_the_first_one_is_heard() {
    let kept = kept();
    request(|own| {
        kept.processor.buffer.join(own, place(true));
        let other = Traceparent::new(0xc, 0xd, true).unwrap();
        kept.processor.buffer.join(own, other);
        assert_eq!(kept.processor.buffer.joined(own), Some(place(true)));
    });
    let spans = kept.spans();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(span.span_context.trace_id(), TraceId::from(0xa));
    }
    assert_eq!(spans[1].parent_span_id, SpanId::from(0xb));
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
}

#[test]
fn what_joins_a_sign_in_that_is_not_kept_is_not_kept() {
    let kept = kept();
    request(|own| kept.processor.buffer.join(own, place(false)));
    assert!(kept.spans().is_empty());
}

#[test]
fn what_belongs_to_no_request_is_in_no_trace() {
    let kept = kept();
    tracing::info_span!(target: TRACE, "store ping").in_scope(|| {});
    tracing::info_span!(target: "hubkey", "other", otel.kind = "server").in_scope(|| {});
    assert!(kept.spans().is_empty());
}

fn headers(traceparent: &'static str, tracestate: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TRACEPARENT_HEADER, traceparent.parse().unwrap());
    headers.insert(TRACESTATE_HEADER, tracestate.parse().unwrap());
    headers
}

const PARENT: &str = "00-0000000000000000000000000000000a-000000000000000b-01";

#[test]
fn a_caller_that_is_believed_names_the_span_above() {
    let kept = kept();
    let request = tracing::info_span!(target: TRACE, "request", otel.kind = "server");
    let context = parent_of(&headers(PARENT, "hubkey=00000000000000ff")).unwrap();
    request.set_parent(context).unwrap();
    request.in_scope(|| {
        let span = sign_in_span().unwrap();
        assert_eq!(span.at, place(true));
        assert_eq!(span.export_under, Some(0xff));
    });
    drop(request);
    let spans = kept.spans();
    assert_eq!(spans[0].parent_span_id, SpanId::from(0xb));
    assert_eq!(spans[0].span_context.trace_id(), TraceId::from(0xa));
}

#[test]
fn headers_that_are_none_name_nothing() {
    assert!(parent_of(&HeaderMap::new()).is_none());
    assert!(parent_of(&headers("00-secret", "hubkey=00000000000000ff")).is_none());
    let mut twice = headers(PARENT, "");
    twice.append(TRACEPARENT_HEADER, PARENT.parse().unwrap());
    assert!(parent_of(&twice).is_none());
}
