//! Listeners on real sockets, asked byte by byte.

mod bounds;
mod client_addrs;
mod connections;
mod encrypted;
mod extractors;
mod limits;
mod observed;
mod people;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::telemetry::Metrics;

/// Longer than anything here takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);

struct Running {
    address: SocketAddr,
    metrics: Metrics,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

async fn start(limits: Limits, router: Router) -> Running {
    start_with(limits, router, |server| server).await
}

async fn start_with(
    limits: Limits,
    router: Router,
    change: impl FnOnce(Server) -> Server,
) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new("0", "0").unwrap();
    let shutdown = CancellationToken::new();
    let server = change(Server::new("test", limits, &metrics));
    let serving = tokio::spawn(server.serve(listener, router, shutdown.clone()));
    Running {
        address,
        metrics,
        shutdown,
        serving,
    }
}

/// Limits whose times are a thousandth of what they are in life, but for those that a test is not about.
fn quick() -> Limits {
    Limits {
        shutdown_grace_period: LONG,
        ..Limits::internal()
    }
}

fn sample() -> Router {
    problem_fallbacks(
        Router::new()
            .route("/hello", get(async || "hello"))
            .route(
                "/length",
                post(async |body: axum::body::Bytes| body.len().to_string()),
            )
            .route(
                "/things/{id}",
                get(async |Path(id): Path<u32>| id.to_string()),
            )
            .route("/slow", get(async || tokio::time::sleep(SHORT * 2).await))
            .route("/panic", get(panic))
            .route(
                "/peer",
                get(async |peer: ClientAddr| peer.address().to_string()),
            )
            .route("/names", get(names)),
    )
}

async fn panic() {
    panic!("canary");
}

async fn names(headers: HeaderMap) -> String {
    let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
    names.sort();
    names.join(",")
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own and reads until the server closes it.
    async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_all(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.ask(format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LONG, self.serving)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads one answer of a known end and leaves the connection open.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(end.as_bytes()) {
        let read = tokio::time::timeout(LONG, stream.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(read, 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> u16 {
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{answer:?}"))
}

/// Asserts that an answer is a problem document, and returns its code.
fn problem_code(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: application/problem+json"),
        "{answer}"
    );
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status(answer), "{answer}");
    problem["code"].as_str().unwrap().to_owned()
}
