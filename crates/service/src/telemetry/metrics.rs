//! Measurements on a registry that is passed around, not on a global one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

pub use metrics::{Counter, Gauge, Histogram};

const METADATA: Metadata<'static> = Metadata::new("hubkey", Level::INFO, None);
const REQUEST_DURATION: &str = "hubkey_http_server_request_duration_seconds";
const CONNECTIONS: &str = "hubkey_http_server_connections";
const REJECTED: &str = "hubkey_http_server_rejected_connections_total";
const BUILD: &str = "hubkey_build_info";
/// The bounds that the conventions for HTTP servers name; for other durations they do as well.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The registry of one process. Cloning it gives another handle of the same registry.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Metrics {
    /// A registry that knows the version of this build.
    pub fn new(version: &'static str, commit: &'static str) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .build_recorder();
        let handle = recorder.handle();
        let metrics = Self {
            recorder: Arc::new(recorder),
            handle,
        };
        metrics
            .gauge(BUILD, &[("version", version), ("commit", commit)])
            .set(1.0);
        metrics.describe_own();
        Ok(metrics)
    }

    /// Makes this the registry that the macros of the crate `metrics` write to. Once in a process.
    pub fn install(&self) -> Result<(), metrics::SetRecorderError<Arc<PrometheusRecorder>>> {
        metrics::set_global_recorder(Arc::clone(&self.recorder))
    }

    /// Tells what a counter, gauge or histogram of that name means, for the `# HELP` line.
    pub fn describe(&self, name: &'static str, meaning: &'static str) {
        let text = || SharedString::from(meaning);
        if name.ends_with("_total") {
            self.recorder.describe_counter(name.into(), None, text());
        } else if name.ends_with("_timestamp_seconds") {
            self.recorder
                .describe_gauge(name.into(), Some(Unit::Seconds), text());
        } else if name.ends_with("_seconds") {
            self.recorder
                .describe_histogram(name.into(), Some(Unit::Seconds), text());
        } else {
            self.recorder.describe_gauge(name.into(), None, text());
        }
    }

    /// A counter; its name begins with `hubkey_` and ends in `_total`. Every label's value is out of a closed set.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder
            .register_counter(&key(name, labels), &METADATA)
    }

    /// A gauge; its name begins with `hubkey_`.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram of durations; its name begins with `hubkey_` and ends in `_seconds`.
    pub fn histogram(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder
            .register_histogram(&key(name, labels), &METADATA)
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what was measured into the buckets. To be called every few seconds, or memory grows until somebody asks.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(crate) fn request(&self, labels: &[(&'static str, &str); 4], elapsed: Duration) {
        self.histogram(REQUEST_DURATION, labels)
            .record(elapsed.as_secs_f64());
    }

    pub(crate) fn connections(&self, listener: &'static str, count: usize) {
        // A count of connections is far below where this loses digits.
        let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
        self.gauge(CONNECTIONS, &[("listener", listener)])
            .set(count);
    }

    pub(crate) fn rejected_connection(&self, listener: &'static str, reason: &'static str) {
        self.counter(REJECTED, &[("listener", listener), ("reason", reason)])
            .increment(1);
    }

    fn describe_own(&self) {
        self.describe(BUILD, "The version that runs.");
        self.describe(REQUEST_DURATION, "How long requests took, by route.");
        self.describe(CONNECTIONS, "Open connections.");
        self.describe(
            REJECTED,
            "Connections that were rejected: too many were open, or the handshake of TLS failed.",
        );
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

/// A status out of a closed set.
pub(crate) fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
