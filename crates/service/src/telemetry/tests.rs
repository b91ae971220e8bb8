use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::start::subscriber;
use super::*;
use crate::settings::{LogFormat, LogSettings};

/// What the present thread logs while this lives.
pub(crate) struct Recorded {
    bytes: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

/// Records what the present thread logs, as JSON and from the level debug on.
pub(crate) fn recorded() -> Recorded {
    record(&settings("debug", LogFormat::Json))
}

fn record(settings: &LogSettings) -> Recorded {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let subscriber = subscriber(settings, Writer(bytes.clone())).unwrap();
    Recorded {
        bytes,
        _guard: tracing::subscriber::set_default(subscriber),
    }
}

fn settings(filter: &str, format: LogFormat) -> LogSettings {
    LogSettings {
        format,
        filter: filter.to_owned(),
        audit_file: None,
    }
}

impl Recorded {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn log_line_is_one_object_with_fields_beside_the_message() {
    let log = recorded();
    let span = tracing::info_span!(
        "request",
        request_id = "r1",
        provider = tracing::field::Empty
    );
    span.record("provider", "lab-api");
    span.in_scope(|| tracing::info!(count = 3, name = %UserName("a\nb"), "done"));
    let line = &log.lines()[0];
    assert_eq!(
        (&line["message"], &line["count"]),
        (&"done".into(), &3.into())
    );
    assert_eq!(
        (&line["request_id"], &line["provider"]),
        (&"r1".into(), &"lab-api".into())
    );
    assert_eq!(line["name"], "a\\u{a}b");
    let timestamp = line["timestamp"].as_str().unwrap();
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    assert!(
        time::OffsetDateTime::parse(timestamp, rfc3339)
            .unwrap()
            .offset()
            .is_utc()
    );
}

#[test]
fn log_line_has_each_name_once_and_the_innermost_value() {
    let log = recorded();
    let span = tracing::info_span!("request", request_id = "outer", count = 1);
    span.in_scope(|| tracing::info!(request_id = "inner", odd = f64::NAN, "\"quoted\"\n"));
    let text = log.text();
    assert_eq!(text.matches("request_id").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let line = &log.lines()[0];
    assert_eq!(line["request_id"], "inner");
    assert_eq!(line["count"], 1);
    assert_eq!(line["odd"], Value::Null);
    assert_eq!(line["message"], "\"quoted\"\n");
}

#[test]
fn audit_lines_are_marked_and_no_filter_silences_them() {
    let log = record(&settings("off", LogFormat::Json));
    tracing::info!("an ordinary line");
    let request = tracing::info_span!(target: "hubkey", "request", request_id = "r1");
    request.in_scope(|| {
        tracing::info!(target: AUDIT, event = "token_issued", user = %UserName("alice"), "issued");
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["stream"], &lines[0]["event"]),
        (&"audit".into(), &"token_issued".into())
    );
    assert_eq!(lines[0]["request_id"], "r1");
}

#[test]
fn audit_file_gets_the_audit_lines_and_nothing_else() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("audit.log");
    let settings = LogSettings {
        audit_file: Some(path.clone()),
        ..settings("info", LogFormat::Text)
    };
    let log = record(&settings);
    tracing::info!("an ordinary line");
    tracing::info!(target: AUDIT, event = "token_issued", "issued");
    assert!(
        log.text().contains("ordinary") && !log.text().contains("issued"),
        "{}",
        log.text()
    );
    let audit: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(audit["event"], "token_issued");
}

#[test]
fn audit_file_that_cannot_be_opened_stops_the_start() {
    let settings = LogSettings {
        audit_file: Some("/nowhere/audit.log".into()),
        ..settings("info", LogFormat::Json)
    };
    assert!(matches!(
        subscriber(&settings, io::sink),
        Err(TelemetryError::AuditFile(_))
    ));
}

#[test]
fn user_names_are_cut_and_escaped() {
    let long = "x".repeat(65);
    let cases = [
        ("alice", "alice".to_owned()),
        ("zoë", "zoë".to_owned()),
        (
            "a\r\n\u{1b}[31m\u{202e}b",
            "a\\u{d}\\u{a}\\u{1b}[31m\\u{202e}b".to_owned(),
        ),
        (&long, "x".repeat(64) + "…"),
    ];
    for (name, shown) in cases {
        assert_eq!(UserName(name).to_string(), shown);
    }
}

#[test]
fn measurements_have_one_series_for_each_set_of_labels() {
    let metrics = Metrics::new("1.0.0", "abc").unwrap();
    metrics.describe("hubkey_signins_total", "Sign-ins.");
    let counter = |outcome| metrics.counter("hubkey_signins_total", &[("outcome", outcome)]);
    counter("ok").increment(1);
    counter("ok").increment(1);
    counter("denied").increment(1);
    let text = metrics.render();
    assert!(
        text.contains("# HELP hubkey_signins_total Sign-ins."),
        "{text}"
    );
    assert!(
        text.contains(r#"hubkey_signins_total{outcome="ok"} 2"#),
        "{text}"
    );
    assert!(
        text.contains(r#"hubkey_build_info{version="1.0.0",commit="abc"} 1"#),
        "{text}"
    );
}
