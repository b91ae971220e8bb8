//! Starts the log and the audit stream.

use std::fs::OpenOptions;
use std::io;
use std::panic;
use std::sync::Mutex;

use hubkey_protocol::trace::TRACE;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::AUDIT;
use super::error::TelemetryError;
use super::json::JsonLines;
use super::text::TextLines;
use super::traces::Traces;
use crate::settings::{LogFormat, LogSettings};

/// What has to be ended before the process may end.
#[derive(Debug)]
#[must_use = "the last spans leave by `finish`"]
pub struct Telemetry(Option<Traces>);

impl Telemetry {
    /// Sends the last spans, for a few seconds at most.
    pub async fn finish(self) {
        if let Some(traces) = self.0 {
            traces.finish().await;
        }
    }
}

/// Starts the log, the audit stream and the traces of this process, and makes panics log where they happened and
/// nothing else. `service` is its name in traces, unless the operator gives another.
///
/// To be called on a runtime.
pub fn start(settings: &LogSettings, service: &'static str) -> Result<Telemetry, TelemetryError> {
    let traces = Traces::start(service)?;
    subscriber(settings, io::stderr)?
        .with(traces.as_ref().map(Traces::layer))
        .try_init()
        .map_err(TelemetryError::Twice)?;
    install_panic_hook();
    if traces.is_some() {
        tracing::info!("traces are exported");
    }
    Ok(Telemetry(traces))
}

/// Makes a panic one log line with its place. Its payload is left out: it may hold anything.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(target: "hubkey::panic", place, "a task panicked");
    }));
}

/// The subscriber, with the writer that stands for standard error.
pub(super) fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
) -> Result<
    impl tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync + use<W>,
    TelemetryError,
>
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let filter: Targets = settings.filter.parse().map_err(TelemetryError::Filter)?;
    let log = output(settings.format, None, writer.clone()).with_filter(
        filter
            .with_target(AUDIT, LevelFilter::OFF)
            .with_target(TRACE, LevelFilter::OFF),
    );
    let audit = match &settings.audit_file {
        None => output(settings.format, Some(AUDIT), writer),
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            let file = Mutex::new(file.map_err(TelemetryError::AuditFile)?);
            output(LogFormat::Json, Some(AUDIT), file)
        }
    };
    // The span of a request belongs to the stream too: it says which request an event was part of.
    let only_audit = filter_fn(|metadata| {
        metadata.target() == AUDIT || (metadata.is_span() && metadata.target() == "hubkey")
    });
    Ok(tracing_subscriber::registry()
        .with(log)
        .with(audit.with_filter(only_audit)))
}

fn output<S, W>(
    format: LogFormat,
    stream: Option<&'static str>,
    writer: W,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Text => layer.event_format(TextLines::default()).boxed(),
        LogFormat::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines { stream })
            .boxed(),
    }
}
