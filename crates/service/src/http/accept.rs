//! The accept loop: who may connect, and how the listener leaves.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hubkey_protocol::ErrorCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client_addr::ClientAddr;
use super::connection::Connection;
use super::connection_state::ConnectionState;
use super::encryption::Encryption;
use super::error_pages::{self, ErrorPages};
use super::failure::Failure;
use super::layers::layers;
use super::limits::Limits;
use super::request_pipeline::RequestPipeline;
use super::span::TraceRule;
use crate::telemetry::Metrics;
use crate::tls::ServingCertificate;

/// hyper ends a connection whose head exceeds its buffer with a bare status. The buffer is a little more than what we read,
/// so that a listener for people comes before it.
const SLACK: usize = 4 * 1024;
/// The least buffer that hyper accepts.
const MIN_BUFFER: usize = 8 * 1024;
/// So many connections at once may hold more of a head than what is taken: memory for those who get a page
/// that says what was too long.
const LONG_HEADS: usize = 64;
/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One HTTP/1.1 listener.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    limits: Limits,
    metrics: Metrics,
    encryption: Option<Encryption>,
    traces: TraceRule,
    error_pages: Option<ErrorPages>,
}

impl Server {
    /// A listener under a name that its log lines and measurements carry.
    #[must_use]
    pub fn new(name: &'static str, limits: Limits, metrics: &Metrics) -> Self {
        Self {
            name,
            limits,
            metrics: metrics.clone(),
            encryption: None,
            traces: TraceRule::Begin,
            error_pages: None,
        }
    }

    /// For a listener whose callers are people: the router answers heads that are too large, which carry a
    /// [`OversizedHead`](super::OversizedHead), and a browser gets these pages for what the listener itself refuses.
    #[must_use]
    pub fn with_error_pages(self, pages: ErrorPages) -> Self {
        Self {
            error_pages: Some(pages),
            ..self
        }
    }

    /// Lets callers name the trace that their request is part of: for listeners that browsers do not reach.
    #[must_use]
    pub fn continuing_traces(self) -> Self {
        Self {
            traces: TraceRule::Continue,
            ..self
        }
    }

    /// Leaves it to the caller, which is the other server, whether a request is part of a trace.
    #[must_use]
    pub fn following_traces(self) -> Self {
        Self {
            traces: TraceRule::Follow,
            ..self
        }
    }

    /// Leaves its requests out of all traces.
    pub(crate) fn without_traces(self) -> Self {
        Self {
            traces: TraceRule::Untraced,
            ..self
        }
    }

    /// Makes the listener speak TLS, and nothing else, with this certificate.
    pub fn encrypted(
        mut self,
        certificate: Arc<ServingCertificate>,
    ) -> Result<Self, rustls::Error> {
        let encryption = Encryption::new(certificate, self.limits.handshake_timeout)?;
        self.encryption = Some(encryption);
        Ok(self)
    }

    fn pipeline(self, router: Router) -> RequestPipeline {
        RequestPipeline {
            name: self.name,
            limits: self.limits,
            metrics: self.metrics,
            router: layers(router),
            encryption: self.encryption,
            traces: self.traces,
            error_pages: self.error_pages,
            long_heads: Arc::new(Semaphore::new(LONG_HEADS)),
            evict_idle: Arc::default(),
        }
    }

    /// Serves until `shutdown`; then accepts nothing more, lets requests finish within the grace period, and returns.
    pub async fn serve(self, listener: TcpListener, router: Router, shutdown: CancellationToken) {
        let (name, grace) = (self.name, self.limits.shutdown_grace_period);
        let pipeline = Arc::new(self.pipeline(router));
        let (tasks, force) = (TaskTracker::new(), CancellationToken::new());
        let caps = Caps::default();
        while let Some((stream, socket)) = next(&listener, &shutdown).await {
            let admission = match caps.admit(ClientAddr::new(socket.ip()), &pipeline.limits) {
                Ok(admission) => admission,
                Err(refusal) => {
                    pipeline.evict_if_nearly_full(caps.count());
                    pipeline.metrics.rejected_connection(name, refusal.reason);
                    if pipeline.encryption.is_none() {
                        let pages = pipeline.error_pages.as_ref();
                        refuse(&stream, pages, &refusal.failure);
                    }
                    continue;
                }
            };
            let count = caps.count();
            pipeline.metrics.connections(name, count);
            pipeline.evict_if_nearly_full(count);
            let (pipeline, shutdown, force) = (pipeline.clone(), shutdown.clone(), force.clone());
            tasks.spawn(async move {
                let connection = handle_connection(pipeline.clone(), stream, socket, shutdown);
                force.run_until_cancelled(Box::pin(connection)).await;
                let count = admission.release();
                pipeline.metrics.connections(name, count);
            });
        }
        drop(listener);
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            tracing::warn!(
                listener = name,
                connections = tasks.len(),
                "the grace period is over; closing what is left"
            );
            force.cancel();
            tasks.wait().await;
        }
    }
}

async fn next(
    listener: &TcpListener,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match shutdown.run_until_cancelled(listener.accept()).await? {
            Ok(accepted) => return Some(accepted),
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::error!(cause = %error, "cannot accept connections; trying again");
                shutdown
                    .run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE))
                    .await?;
            }
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Takes one connection, with the handshake where the listener speaks TLS. Each part is on the heap while it lasts and no
/// longer: ten thousand connections that wait have little else in memory.
async fn handle_connection(
    pipeline: Arc<RequestPipeline>,
    stream: TcpStream,
    socket: SocketAddr,
    shutdown: CancellationToken,
) {
    // Answers are written whole; waiting for more bytes only makes them late.
    let _ = stream.set_nodelay(true);
    let Some(encryption) = &pipeline.encryption else {
        return Box::pin(serve_connection(pipeline, stream, socket, shutdown)).await;
    };
    match shutdown
        .run_until_cancelled(Box::pin(encryption.accept(stream)))
        .await
    {
        Some(Ok(stream)) => {
            Box::pin(serve_connection(pipeline.clone(), stream, socket, shutdown)).await;
        }
        Some(Err(error)) => {
            pipeline
                .metrics
                .rejected_connection(pipeline.name, error.reason());
            tracing::debug!(cause = %error, "a connection came to nothing");
        }
        None => {}
    }
}

/// Serves one connection to its end.
async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(
    pipeline: Arc<RequestPipeline>,
    stream: S,
    socket: SocketAddr,
    shutdown: CancellationToken,
) {
    let state = ConnectionState::default();
    let connection = Connection::new(stream, state.clone(), &pipeline);
    let io = TokioIo::new(connection);
    let builder = builder(&pipeline.limits);
    let service =
        service_fn(move |request| pipeline.clone().answer(socket, state.clone(), request));
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(cause = %error, "a connection ended early");
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Connection` keeps both times, that for a head and that between requests.
        .header_read_timeout(None)
        .max_headers(limits.headers * 2)
        .max_buf_size((limits.read_bytes + SLACK).max(MIN_BUFFER));
    builder
}

/// Answers a connection that is not admitted, without waiting for its request or for it to read. One that would speak TLS
/// is closed without a word: a handshake is the work that a full listener is to be spared.
fn refuse(stream: &TcpStream, pages: Option<&ErrorPages>, failure: &Failure) {
    let _ = stream.try_write(&error_pages::raw_response(pages, failure));
}

/// Counts connections.
#[derive(Debug, Clone, Default)]
struct Caps(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    per_address: HashMap<IpAddr, usize>,
}

struct Refusal {
    reason: &'static str,
    failure: Failure,
}

impl Caps {
    fn admit(&self, client: ClientAddr, limits: &Limits) -> Result<Admission, Refusal> {
        let is_exempt = client.address().is_loopback() || client.is_within(&limits.trusted_proxies);
        let counted = limits
            .per_address
            .filter(|_| !is_exempt)
            .map(|cap| (client.network(), cap));
        let mut counts = self.lock();
        if counts.all >= limits.connections {
            return Err(Refusal::new(ErrorCode::Overloaded, "max_connections"));
        }
        if let Some((network, cap)) = counted {
            let count = counts.per_address.entry(network).or_default();
            if *count >= cap {
                return Err(Refusal::new(
                    ErrorCode::RateLimited,
                    "max_connections_per_address",
                ));
            }
            *count += 1;
        }
        counts.all += 1;
        Ok(Admission {
            caps: self.clone(),
            counted: counted.map(|(network, _)| network),
        })
    }

    fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn new(code: ErrorCode, reason: &'static str) -> Self {
        let title = "Too many connections are open.";
        let failure = Failure::new(code, title, "Try again a little later.").retry_after(1);
        Self { reason, failure }
    }
}

/// A place among the connections, released when dropped.
struct Admission {
    caps: Caps,
    counted: Option<IpAddr>,
}

impl Admission {
    /// Releases the place and returns how many are taken.
    fn release(self) -> usize {
        let caps = self.caps.clone();
        drop(self);
        caps.count()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.caps.lock();
        counts.all -= 1;
        let Some(network) = self.counted else { return };
        if let Some(count) = counts.per_address.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.per_address.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddr {
        ClientAddr::new(text.parse().unwrap())
    }

    #[test]
    fn cap_per_address_counts_hosts_and_spares_loopback_and_trusted_proxies() {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let limits = Limits {
            per_address: Some(1),
            trusted_proxies,
            ..Limits::public()
        };
        let caps = Caps::default();
        let first = caps.admit(client("192.0.2.1"), &limits).ok().unwrap();
        let refusal = caps
            .admit(client("::ffff:192.0.2.1"), &limits)
            .err()
            .unwrap();
        assert_eq!(
            (refusal.reason, refusal.failure.code()),
            ("max_connections_per_address", ErrorCode::RateLimited)
        );
        let _of_network = caps.admit(client("2001:db8::1"), &limits).ok().unwrap();
        assert!(
            caps.admit(client("2001:db8::2"), &limits).is_err(),
            "one host has a whole /64"
        );
        let spared = [
            "127.0.0.1",
            "127.0.0.1",
            "::1",
            "::1",
            "10.0.0.1",
            "10.0.0.1",
        ];
        let admitted: Vec<_> = spared
            .iter()
            .map(|text| caps.admit(client(text), &limits).ok().unwrap())
            .collect();
        assert_eq!(caps.count(), 2 + admitted.len());
        assert_eq!(first.release(), 1 + admitted.len());
        assert!(caps.admit(client("192.0.2.1"), &limits).is_ok());
        drop(admitted);
        assert_eq!(
            caps.lock().per_address.len(),
            1,
            "places that were given back leave nothing behind"
        );
    }
}
