//! What the servers report: log lines, the audit stream and measurements.
//!
//! - A log line has a sentence and fields; never a token, code, state, query string, body or e-mail address.
//! - The audit stream is every event of the target [`AUDIT`]. No filter silences it.
//! - A span of a trace ([`traces`]) has words of ours and numbers only.
//! - Measurements have labels out of closed sets only: never a user, server, issuer, scope or error text.

mod error;
mod json;
mod metrics;
mod start;
#[cfg(test)]
mod tests;
mod text;
pub mod traces;
mod user_name;

pub use error::TelemetryError;
pub(crate) use metrics::class;
pub use metrics::{Counter, Gauge, Histogram, Metrics};
pub use start::{Telemetry, install_panic_hook, start};
#[cfg(test)]
pub(crate) use tests::recorded;
pub use user_name::UserName;

/// The target of audit events: `tracing::info!(target: AUDIT, event = "token_issued", user = %UserName(name), …)`.
pub const AUDIT: &str = "audit";
