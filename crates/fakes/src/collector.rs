//! A collector of traces: takes OTLP over HTTP and keeps every span.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use http::{Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message as _;

use crate::fake_http::{Captured, Fake, FakeServer, Reply, hex, locked};

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    /// The service that told of it.
    pub service: String,
    /// Its trace, in hexadecimal.
    pub trace_id: String,
    /// Its own id, in hexadecimal.
    pub id: String,
    /// The id of the span above; empty where there is none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// From when until when, in nanoseconds since the Unix epoch.
    pub time: (u64, u64),
    /// Its attributes, as text.
    pub attributes: Vec<(String, String)>,
    /// How many events and links it has.
    pub extras: usize,
}

impl Span {
    /// The attribute of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    kept: Arc<Kept>,
    server: FakeServer,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    /// All bodies, one after the other: what a leak test reads.
    bytes: Mutex<Vec<u8>>,
}

impl Collector {
    /// Starts it on a free port of 127.0.0.1.
    pub async fn start() -> anyhow::Result<Self> {
        let kept = Arc::new(Kept::default());
        let server = FakeServer::start(Arc::clone(&kept)).await?;
        Ok(Self { kept, server })
    }

    /// Variables that make a server of ours send its spans here, soon.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.server.url()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// What has arrived.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        locked(&self.kept.spans).clone()
    }

    /// Everything that has arrived, byte by byte.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        locked(&self.kept.bytes).clone()
    }

    /// Waits until the spans that have arrived are those that a test waits for.
    pub async fn until(
        &self,
        limit: Duration,
        complete: impl Fn(&[Span]) -> bool,
    ) -> anyhow::Result<Vec<Span>> {
        let started = Instant::now();
        loop {
            let spans = self.spans();
            if complete(&spans) {
                return Ok(spans);
            }
            if started.elapsed() > limit {
                let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
                bail!("after {limit:?} there were only {names:?}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Fake for Kept {
    async fn answer(&self, request: Captured) -> Reply {
        if request.method != Method::POST || request.path != "/v1/traces" {
            return Reply::new(StatusCode::NOT_FOUND);
        }
        locked(&self.bytes).extend_from_slice(&request.body);
        match ExportTraceServiceRequest::decode(request.body) {
            Ok(batch) => {
                locked(&self.spans).extend(spans(batch));
                let answer = ExportTraceServiceResponse::default().encode_to_vec();
                Reply::new(StatusCode::OK)
                    .with_body(answer)
                    .typed("application/x-protobuf")
            }
            Err(_) => Reply::new(StatusCode::BAD_REQUEST),
        }
    }
}

fn spans(batch: ExportTraceServiceRequest) -> Vec<Span> {
    let mut found = Vec::new();
    for of_service in batch.resource_spans {
        let attributes = of_service.resource.unwrap_or_default().attributes;
        let service = pairs(attributes)
            .into_iter()
            .find_map(|(name, value)| (name == "service.name").then_some(value))
            .unwrap_or_default();
        let spans = of_service
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        found.extend(spans.map(|span| Span {
            service: service.clone(),
            trace_id: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
            time: (span.start_time_unix_nano, span.end_time_unix_nano),
            attributes: pairs(span.attributes),
            extras: span.events.len() + span.links.len(),
        }));
    }
    found
}

fn pairs(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let pair = |attribute: KeyValue| (attribute.key, text(attribute.value));
    attributes.into_iter().map(pair).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
