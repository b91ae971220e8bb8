//! Starts the log and the audit stream.

use std::fs::OpenOptions;
use std::io;
use std::panic;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::AUDIT;
use super::json::JsonLines;
use crate::settings::{LogFormat, LogSettings};

/// The log or the audit stream cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not a list of directives.
    #[error("`log.filter` is not a filter; write a level such as `info`")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The file for audit lines cannot be opened.
    #[error(
        "the file of `audit.file` cannot be opened for appending; name a file in a directory that hubkey may write to"
    )]
    AuditFile(#[source] io::Error),
    /// The process already has a log.
    #[error("the log was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts the log and the audit stream of this process, and makes panics tell where they happened and nothing else.
pub fn start(settings: &LogSettings) -> Result<(), TelemetryError> {
    subscriber(settings, io::stderr)?
        .try_init()
        .map_err(TelemetryError::Twice)?;
    install_panic_hook();
    Ok(())
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
) -> Result<impl tracing::Subscriber + for<'span> LookupSpan<'span> + use<W>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let filter: Targets = settings.filter.parse().map_err(TelemetryError::Filter)?;
    let log = output(settings.format, None, writer.clone())
        .with_filter(filter.with_target(AUDIT, LevelFilter::OFF));
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
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines { stream })
            .boxed(),
    }
}
