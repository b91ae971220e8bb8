//! How finished spans leave: OTLP over HTTP, in batches, from a thread of the SDK's own. A collector that is away costs
//! spans, never a request.

use std::error::Error;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::{Certificate, Client, redirect, tls};
use tokio::runtime::Handle;

use super::settings::TraceSettings;

const CONNECT: Duration = Duration::from_secs(3);
/// A collector answers with a few bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// While a collector is away, a warning is logged so often.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The exporter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file of certificates is unreadable, or holds none.
    #[error("the file of `OTEL_EXPORTER_OTLP_CERTIFICATE` holds no readable PEM certificate")]
    Certificate,
    /// TLS cannot be set up.
    #[error("the HTTP client for traces cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The SDK refuses a variable.
    #[error("traces cannot be exported: {0}")]
    Refused(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Sends batches, and logs failures at a bounded rate.
#[derive(Debug)]
pub(super) struct Exporter {
    otlp: Otlp,
    outage: Mutex<Outage>,
}

#[derive(Debug, Default)]
struct Outage {
    lost: usize,
    logged_at: Option<Instant>,
}

impl Exporter {
    /// To be called on a runtime, which carries the requests.
    pub(super) fn new(settings: &TraceSettings) -> Result<Self, ExportError> {
        let sender = Sender {
            client: client(settings)?,
            runtime: Handle::current(),
        };
        Ok(Self {
            otlp: Otlp::builder()
                .with_http()
                .with_http_client(sender)
                .with_endpoint(settings.endpoint.as_str())
                .with_timeout(settings.timeout)
                .build()?,
            outage: Mutex::default(),
        })
    }

    fn note(&self, spans: usize, result: &OTelSdkResult) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                if outage.logged_at.is_some() {
                    tracing::info!(lost = outage.lost, "traces are exported again");
                    *outage = Outage::default();
                }
            }
            Err(error) => {
                outage.lost += spans;
                if outage
                    .logged_at
                    .is_none_or(|at| at.elapsed() >= LOG_INTERVAL)
                {
                    outage.logged_at = Some(Instant::now());
                    tracing::warn!(lost = outage.lost, %error, "traces cannot be exported; requests go on");
                }
            }
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.otlp.export(batch).await;
        self.note(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

/// The SDK's thread belongs to no runtime, so each request is carried by the server's.
#[derive(Debug)]
struct Sender {
    client: Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = exchange(self.client.clone(), request);
        self.runtime.spawn(exchange).await?
    }
}

async fn exchange(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Box::<dyn Error + Send + Sync>::from(
                "the collector's answer is too long",
            ));
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    Ok(response)
}

fn client(settings: &TraceSettings) -> Result<Client, ExportError> {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .tls_version_min(tls::Version::TLS_1_2)
        .connect_timeout(CONNECT)
        .timeout(settings.timeout)
        .user_agent(concat!("hubkey/", env!("CARGO_PKG_VERSION")));
    let builder = match (&settings.authorities, settings.endpoint.scheme()) {
        (Some(path), _) => {
            let pem = fs::read(path).map_err(|_| ExportError::Certificate)?;
            let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if authorities.is_empty() {
                return Err(ExportError::Certificate);
            }
            builder.tls_certs_only(authorities)
        }
        // None at all for plain http, so that an image without certificates can export too.
        (None, "http") => builder.tls_certs_only(Vec::new()),
        (None, _) => builder,
    };
    builder.build().map_err(ExportError::Client)
}
