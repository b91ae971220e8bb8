//! The program's traces: a collector that is there, one that never answers, and a browser that would like to choose.

use std::time::{Duration, Instant};

use hubkey_fakes::{collector::Collector, fake_http::SilentListener};
use hubkey_protocol::{internal::Refusal, trace::Traceparent};
use reqwest::StatusCode;

use crate::{
    process::{Running, output},
    support::refused,
};

const CHOSEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SOON: Duration = Duration::from_secs(10);

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[tokio::test]
async fn security_i3_a_browser_does_not_choose_its_trace_and_no_span_has_its_ticket() {
    let collector = Collector::start().await.unwrap();
    let environment = collector.environment();
    let (running, broker) = Running::with_broker(&borrowed(&environment)).await;
    broker.says(refused(Refusal::InvalidLink));
    let request = running
        .get("/start/abcdef.canary-ticket?canary=query")
        .header("traceparent", CHOSEN)
        .header("tracestate", "hubkey=0000000000000000,canary=state");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::GONE);
    assert!(!answer.headers().contains_key("traceparent"));
    let call = broker.call();
    let told = Traceparent::parse(call.header("traceparent").unwrap()).unwrap();
    let chosen = Traceparent::parse(CHOSEN).unwrap();
    assert_ne!(told.trace_id(), chosen.trace_id());
    assert_eq!(call.header("tracestate"), None);
    let spans = collector.until(SOON, |spans| !spans.is_empty()).await;
    let spans = spans.unwrap();
    let page = &spans[0];
    assert_eq!(page.name, "GET /start/{ticket}");
    assert_eq!(page.trace_id, format!("{:032x}", told.trace_id()));
    assert_eq!(page.id, format!("{:016x}", told.span_id()));
    assert_eq!(page.parent, "");
    assert_eq!(page.attribute("http.route"), Some("/start/{ticket}"));
    assert_eq!(page.attribute("http.response.status_code"), Some("410"));
    running.end().await;
    let all = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(!all.contains("canary"), "{spans:?}");
    let routes: Vec<_> = collector
        .spans()
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert!(
        routes.iter().all(|name| !name.contains("readyz")),
        "{routes:?}"
    );
}

#[tokio::test]
async fn a_page_joins_the_trace_that_the_broker_names() {
    let collector = Collector::start().await.unwrap();
    let environment = collector.environment();
    let (running, broker) = Running::with_broker(&borrowed(&environment)).await;
    broker.says(refused(Refusal::InvalidLink));
    broker.names_trace(CHOSEN);
    running.get("/start/abcdef.ticket").send().await.unwrap();
    let spans = collector.until(SOON, |spans| !spans.is_empty()).await;
    let page = &spans.unwrap()[0];
    assert_eq!(page.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(page.parent, "00f067aa0ba902b7");
    let log = running.end().await;
    let of_page = |line: &&str| line.contains("request answered") && line.contains("/start/");
    let answered = log.lines().find(of_page);
    assert!(
        answered
            .unwrap()
            .contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "{log}"
    );
}

#[tokio::test]
async fn one_request_has_one_id_in_both_servers() {
    let (running, broker) = Running::with_broker(&[]).await;
    broker.says(refused(Refusal::InvalidLink));
    let answer = running.get("/start/abcdef.ticket").send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    assert_eq!(broker.call().header("x-request-id"), Some(id));
    assert_eq!(broker.call().header("traceparent"), None, "traces are off");
    running.end().await;
}

#[tokio::test]
async fn a_collector_that_never_answers_slows_and_fails_no_request() {
    let silent = SilentListener::start().await.unwrap();
    let endpoint = format!("http://{}", silent.address());
    let (running, broker) = Running::with_broker(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
        // More would fill the pipe that nobody reads until the end.
        ("HUBKEY_LOG_FILTER", "info"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
    ])
    .await;
    broker.says(refused(Refusal::InvalidLink));
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let started = Instant::now();
        let answer = running.get("/start/abcdef.ticket").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::GONE);
        slowest = slowest.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // `end` waits for ten seconds at most.
    let log = running.end().await;
    let told = log.matches("traces cannot be exported").count();
    assert_eq!(told, 1, "{log}");
}

#[tokio::test]
async fn a_malformed_endpoint_ends_the_start_and_is_not_repeated() {
    let settings = [
        ("HUBKEY_PUBLIC_URL", "https://hub.example.org"),
        ("HUBKEY_BROKER_URL", "http://127.0.0.1:1"),
        (
            "HUBKEY_SHARED_SECRET",
            "canary-shared-secret-of-32-characters",
        ),
        ("HUBKEY_LISTEN", "127.0.0.1:0"),
        ("HUBKEY_OPS_LISTEN", "127.0.0.1:0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary-collector:4318"),
    ];
    for command in ["serve", "check-config"] {
        let output = output(&settings, command).await;
        assert!(!output.status.success(), "{command}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
}
