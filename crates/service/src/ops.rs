//! The listener for operators: `/healthz`, `/readyz` and `/metrics`. It is never routed to the outside.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use hubkey_protocol::ErrorCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::http::{Failure, Limits, Server, problem_fallbacks};
use crate::telemetry::Metrics;

/// How long one readiness check, or the question of the `health` command, may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often measurements are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Whether the process should get requests: nothing is [held](Self::hold) back, no shutdown has begun, and every
/// check succeeds. Clones share one state.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Default)]
struct Inner {
    held: AtomicUsize,
    shutting_down: CancellationToken,
    checks: Mutex<Vec<(&'static str, ErrorCode, Check)>>,
}

impl Readiness {
    /// Ready as soon as nothing holds it back.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until the latch is dropped.
    pub fn hold(&self) -> Latch {
        self.0.held.fetch_add(1, Ordering::SeqCst);
        Latch(self.clone())
    }

    /// Adds something that has to work, asked at each question. A check that takes longer than two seconds fails.
    pub fn check<F, R>(&self, name: &'static str, code: ErrorCode, check: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = bool> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        self.lock().push((name, code, check));
    }

    /// Never ready again: shutdown has begun.
    pub fn begin_shutdown(&self) {
        self.0.shutting_down.cancel();
    }

    async fn verify(&self) -> Result<(), Failure> {
        if self.0.shutting_down.is_cancelled() {
            return Err(not_ready(
                ErrorCode::Overloaded,
                "This replica is shutting down.",
            ));
        }
        if self.0.held.load(Ordering::SeqCst) > 0 {
            return Err(not_ready(
                ErrorCode::Overloaded,
                "This replica is starting.",
            ));
        }
        let checks = self.lock().clone();
        for (name, code, check) in checks {
            if !tokio::time::timeout(CHECK_TIMEOUT, check())
                .await
                .unwrap_or(false)
            {
                return Err(not_ready(
                    code,
                    format!("This replica cannot reach: {name}."),
                ));
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, ErrorCode, Check)>> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.lock().iter().map(|(name, ..)| *name).collect();
        f.debug_struct("Readiness")
            .field("checks", &names)
            .field("held", &self.0.held)
            .field("shutting_down", &self.0.shutting_down.is_cancelled())
            .finish()
    }
}

/// Holds readiness back while it lives.
#[derive(Debug)]
#[must_use = "readiness is held back only while the latch lives"]
pub struct Latch(Readiness);

impl Drop for Latch {
    fn drop(&mut self) {
        self.0.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The routes of the listener.
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .merge(
            Router::new()
                .route("/metrics", get(render))
                .with_state(metrics),
        );
    problem_fallbacks(routes)
}

/// Serves the listener until `shutdown`, and keeps the measurements in order meanwhile.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let limits = Limits {
        shutdown_grace_period: Duration::from_secs(1),
        ..Limits::internal()
    };
    let server = Server::new("ops", limits, &metrics).without_traces();
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.upkeep();
        }
    };
    tokio::select! {
        () = server.serve(listener, router(readiness, metrics.clone()), shutdown) => {}
        () = upkeep => {}
    }
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(readiness): State<Readiness>) -> Result<&'static str, Failure> {
    readiness.verify().await.map(|()| "ready\n")
}

async fn render(State(metrics): State<Metrics>) -> String {
    metrics.render()
}

fn not_ready(code: ErrorCode, title: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(code, title, "Send requests to another replica, or wait.").retry_after(1)
}

/// The process does not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nothing answers.
    #[error("nothing answers on the ops port")]
    Unreachable(#[source] io::Error),
    /// It did not answer in time.
    #[error("the ops port did not answer in time")]
    Timeout,
    /// It answers that something is wrong.
    #[error("the ops port answers: {0}")]
    Unhealthy(
        /// The status line.
        String,
    ),
}

/// Asks a process on this machine how it is: what the `health` subcommand does. `path` is `/healthz` or `/readyz`.
pub async fn check_health(listen: SocketAddr, path: &str) -> Result<(), HealthError> {
    let answer = tokio::time::timeout(CHECK_TIMEOUT * 2, exchange(reachable(listen), path));
    let text = answer
        .await
        .map_err(|_| HealthError::Timeout)?
        .map_err(HealthError::Unreachable)?;
    let status = text.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(HealthError::Unhealthy(status.to_owned()))
    }
}

/// Where a listener of this machine can be reached.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn exchange(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
