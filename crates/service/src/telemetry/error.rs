//! Why telemetry cannot be started.

use std::io;

use super::traces::{ExportError, TraceConfigError};

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
    /// A variable of OpenTelemetry cannot work.
    #[error(transparent)]
    Trace(#[from] TraceConfigError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The process already has a log.
    #[error("the log was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}
