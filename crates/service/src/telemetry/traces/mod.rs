//! Traces by OTLP: one span for each request and for what it waits for, so that a sign-in can be read from `connect()`
//! to its delivery. Off unless the operator sets an `OTEL_EXPORTER_OTLP_…ENDPOINT`.
//!
//! A span is exported if its target is [`TRACE`], and with no field but its own: no event and no log line goes into a
//! trace. A field holds a word of ours, a number, or a name that the operator chose; never a query string, a body, a
//! user name or a secret.

mod export;
mod settings;
#[cfg(test)]
mod tests;
mod trace_buffer;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use hubkey_protocol::trace::{
    SignInSpan, TRACE, TRACEPARENT_HEADER, TRACESTATE_HEADER, Traceparent,
};
use opentelemetry::trace::{
    SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SdkTracerProvider, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::settings::otel_environment;
use export::Exporter;
use settings::TraceSettings;
use trace_buffer::{BufferingProcessor, DeferredSampler, SharedProcessor, TraceBuffer};

pub use export::ExportError;
pub use settings::TraceConfigError;

const SCOPE: &str = "hubkey";
/// How long the end of a process waits for the last spans to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

static RUNNING: OnceLock<Arc<BufferingProcessor<BatchSpanProcessor>>> = OnceLock::new();

/// Whether the variables `OTEL_*` can work, for a look at the settings without a start.
pub fn check_trace_settings() -> Result<(), TraceConfigError> {
    TraceSettings::read(&otel_environment()).map(drop)
}

/// The traces of this process.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts them where the operator wants them. To be called on a runtime, once in a process.
    pub(super) fn start(service: &'static str) -> Result<Option<Self>, super::TelemetryError> {
        let Some(settings) = TraceSettings::read(&otel_environment())? else {
            return Ok(None);
        };
        let resource = resource(service, &settings);
        let mut inner = BatchSpanProcessor::builder(Exporter::new(&settings)?).build();
        inner.set_resource(&resource);
        let (traces, processor) = Self::over(inner, resource);
        // A second start fails at the log.
        let _ = RUNNING.set(processor);
        Ok(Some(traces))
    }

    /// Traces that end in a processor.
    fn over<P: SpanProcessor + 'static>(
        inner: P,
        resource: Resource,
    ) -> (Self, Arc<BufferingProcessor<P>>) {
        // The SDK reads `OTEL_TRACES_SAMPLER` for this.
        let configured = Config::default().sampler;
        let processor = Arc::new(BufferingProcessor {
            buffer: TraceBuffer::default(),
            configured: configured.clone(),
            inner,
        });
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Box::new(DeferredSampler(configured)) as Box<_>)
            .with_span_processor(SharedProcessor(Arc::clone(&processor)))
            .build();
        (Self(provider), processor)
    }

    /// What makes spans of target [`TRACE`] into spans of traces.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && metadata.target() == TRACE
            }))
    }

    /// Sends what is left, for a few seconds at most.
    pub(super) async fn finish(self) {
        let last = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_TIMEOUT));
        if !matches!(last.await, Ok(Ok(()))) {
            tracing::warn!("the last spans may not have been exported");
        }
    }
}

fn resource(service: &'static str, settings: &TraceSettings) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if settings.names_service {
        builder.build()
    } else {
        builder.with_service_name(service).build()
    }
}

/// What the headers of a request from a program of ours say of its trace; to be set as its span's parent.
pub(crate) fn parent_of(headers: &HeaderMap) -> Option<Context> {
    let at = Traceparent::parse(single(headers, TRACEPARENT_HEADER)?).ok()?;
    let export_under = single(headers, TRACESTATE_HEADER).and_then(SignInSpan::export_under);
    let sampled = match export_under {
        // Nobody above has a sampler, so ours decides.
        Some(0) => kept(at.trace_id().into()),
        _ => at.is_sampled(),
    };
    let at = Traceparent::new(at.trace_id(), at.span_id(), sampled)?;
    let context = Context::new().with_remote_span_context(remote(at));
    Some(if export_under.is_some() {
        context.with_value(SignInSpan { at, export_under })
    } else {
        context
    })
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn kept(trace: opentelemetry::trace::TraceId) -> bool {
    RUNNING
        .get()
        .is_none_or(|running| trace_buffer::is_kept(&*running.configured, trace))
}

fn remote(at: Traceparent) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(at.is_sampled());
    SpanContext::new(
        at.trace_id().into(),
        at.span_id().into(),
        flags,
        true,
        TraceState::NONE,
    )
}

/// The span that is open here, to be named in a call to a program of ours.
#[must_use]
pub fn current_span() -> Option<Traceparent> {
    Context::map_current(|context| {
        let span = context.span();
        let here = span.span_context();
        Traceparent::new(
            u128::from_be_bytes(here.trace_id().to_bytes()),
            u64::from_be_bytes(here.span_id().to_bytes()),
            here.is_sampled(),
        )
    })
}

/// The span to which a sign-in belongs that is opened here: the kernel's `connect()`, else this request.
#[must_use]
pub fn sign_in_span() -> Option<SignInSpan> {
    Context::map_current(|context| context.get::<SignInSpan>().copied()).or_else(|| {
        let at = current_span()?;
        Some(SignInSpan {
            at,
            export_under: None,
        })
    })
}

/// Says that what happens here is part of a sign-in: the spans of this request go into its trace. The first one to say
/// so is heard.
pub fn join(place: Traceparent) {
    let (Some(running), Some(here)) = (RUNNING.get(), current_span()) else {
        return;
    };
    if here.trace_id() != place.trace_id() {
        running.buffer.join(here.trace_id().into(), place);
    }
}

/// Gives the span that is open here its final name: a field cannot, once the span has begun.
pub(crate) fn rename(name: String) {
    Context::map_current(|context| context.span().update_name(name));
}

/// The place in another trace that this request has joined.
#[must_use]
pub fn joined() -> Option<Traceparent> {
    RUNNING
        .get()?
        .buffer
        .joined(current_span()?.trace_id().into())
}

/// Trace and span for a log line, as a trace backend knows them.
pub(super) fn ids() -> Option<(String, String)> {
    let here = current_span()?;
    let trace = joined().map_or(here.trace_id(), |place| place.trace_id());
    Some((format!("{trace:032x}"), format!("{:016x}", here.span_id())))
}

/// Exports the span of a `connect()` that has no exporter of its own, when it is over.
pub fn export_connect_span(
    span: &SignInSpan,
    interval: Interval,
    provider: &str,
    outcome: &'static str,
) {
    let (Some(running), Some(above)) = (RUNNING.get(), span.export_under) else {
        return;
    };
    if span.at.is_sampled() {
        let attributes = vec![
            KeyValue::new("hubkey.provider", provider.to_owned()),
            KeyValue::new("hubkey.outcome", outcome),
        ];
        running.inner.on_end(SpanData {
            span_context: remote(span.at),
            parent_span_id: above.into(),
            parent_span_is_remote: above != 0,
            span_kind: SpanKind::Internal,
            name: "connect".into(),
            start_time: SystemTime::UNIX_EPOCH + interval.from,
            end_time: SystemTime::UNIX_EPOCH + interval.until,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
        });
    }
}

/// From when until when something lasted, since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    /// The beginning.
    pub from: Duration,
    /// The end.
    pub until: Duration,
}
