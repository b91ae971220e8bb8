//! Spans that wait until it is known to which trace they belong.
//!
//! A browser brings no trace along, and what it might send is not believed. Its requests get a trace of their own, and
//! only the sign-in that they turn out to be part of says which trace they belong to. So all spans of a trace are held
//! until none of them is open in this process any more; then they go where the sign-in is, or stay as they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hubkey_protocol::trace::Traceparent;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

/// A trace with more spans than this in one process is passed on in parts.
const MAX_BUFFERED: usize = 512;

/// The spans that wait, by their trace.
#[derive(Debug, Default)]
pub(super) struct TraceBuffer(Mutex<HashMap<TraceId, BufferedTrace>>);

#[derive(Debug, Default)]
struct BufferedTrace {
    /// Whether nobody decided yet if the trace is kept.
    undecided: bool,
    open: usize,
    joined: Option<Traceparent>,
    spans: Vec<SpanData>,
}

/// Spans that go on, and where to.
struct CompletedTrace {
    trace: TraceId,
    undecided: bool,
    joined: Option<Traceparent>,
    spans: Vec<SpanData>,
}

impl TraceBuffer {
    /// Says to which span the spans of a trace belong. The first one to say so is heard.
    pub(super) fn join(&self, trace: TraceId, place: Traceparent) {
        if let Some(trace_entry) = self.lock().get_mut(&trace) {
            trace_entry.joined.get_or_insert(place);
        }
    }

    /// What was said of a trace.
    pub(super) fn joined(&self, trace: TraceId) -> Option<Traceparent> {
        self.lock().get(&trace)?.joined
    }

    fn begin(&self, trace: TraceId, undecided: bool) {
        let mut buffer = self.lock();
        let trace_entry = buffer.entry(trace).or_default();
        trace_entry.undecided |= undecided;
        trace_entry.open += 1;
    }

    fn end(&self, span: SpanData) -> Option<CompletedTrace> {
        let mut buffer = self.lock();
        let trace = span.span_context.trace_id();
        let trace_entry = buffer.entry(trace).or_default();
        trace_entry.spans.push(span);
        trace_entry.open = trace_entry.open.saturating_sub(1);
        if trace_entry.open > 0 && trace_entry.spans.len() < MAX_BUFFERED {
            return None;
        }
        let completed = CompletedTrace {
            trace,
            undecided: trace_entry.undecided,
            joined: trace_entry.joined,
            spans: std::mem::take(&mut trace_entry.spans),
        };
        if trace_entry.open == 0 {
            buffer.remove(&trace);
        }
        Some(completed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TraceId, BufferedTrace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CompletedTrace {
    /// The spans as they are exported; none where their trace is not kept.
    fn into_exported(self, configured: &dyn ShouldSample) -> Vec<SpanData> {
        match self.joined {
            Some(place) if place.is_sampled() => self
                .spans
                .into_iter()
                .map(|span| reparent(span, place))
                .collect(),
            None if !self.undecided || is_kept(configured, self.trace) => self.spans,
            Some(_) | None => Vec::new(),
        }
    }
}

/// A span as part of another trace; one without a parent gets one.
fn reparent(mut span: SpanData, place: Traceparent) -> SpanData {
    let context = &span.span_context;
    span.span_context = SpanContext::new(
        place.trace_id().into(),
        context.span_id(),
        context.trace_flags(),
        false,
        TraceState::NONE,
    );
    if span.parent_span_id == SpanId::INVALID {
        span.parent_span_id = place.span_id().into();
        span.parent_span_is_remote = true;
    }
    span
}

/// What the operator's sampler says of a trace that nobody decided on.
pub(super) fn is_kept(configured: &dyn ShouldSample, trace: TraceId) -> bool {
    let result = configured.should_sample(None, trace, "", &SpanKind::Server, &[], &[]);
    result.decision == SamplingDecision::RecordAndSample
}

/// Holds spans back, then hands them to the inner processor.
#[derive(Debug)]
pub(super) struct BufferingProcessor<P> {
    pub(super) buffer: TraceBuffer,
    /// The operator's sampler.
    pub(super) configured: Box<dyn ShouldSample>,
    pub(super) inner: P,
}

/// The same processor for the SDK and for us.
#[derive(Debug)]
pub(super) struct SharedProcessor<P>(pub(super) Arc<BufferingProcessor<P>>);

impl<P: SpanProcessor> SpanProcessor for SharedProcessor<P> {
    fn on_start(&self, span: &mut Span, above: &Context) {
        let undecided = !above.span().span_context().is_valid();
        let trace = opentelemetry::trace::Span::span_context(span).trace_id();
        self.0.buffer.begin(trace, undecided);
    }

    fn on_end(&self, span: SpanData) {
        let BufferingProcessor {
            buffer,
            configured,
            inner,
        } = &*self.0;
        let completed = buffer.end(span);
        for span in
            completed.map_or_else(Vec::new, |completed| completed.into_exported(&**configured))
        {
            inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.inner.shutdown_with_timeout(timeout)
    }
}

/// Decides when a span begins. A request that nobody decided on is recorded, for its sign-in may have been decided on;
/// what is not part of a request is not recorded.
#[derive(Debug, Clone)]
pub(super) struct DeferredSampler(pub(super) Box<dyn ShouldSample>);

impl ShouldSample for DeferredSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let above = parent.map(|parent| parent.span().span_context().clone());
        let record = match above.filter(SpanContext::is_valid) {
            None => *kind == SpanKind::Server,
            Some(above) if above.is_remote() => {
                return self
                    .0
                    .should_sample(parent, trace, name, kind, attributes, links);
            }
            Some(above) => above.trace_flags() & TraceFlags::SAMPLED == TraceFlags::SAMPLED,
        };
        SamplingResult {
            decision: if record {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}
