//! The listener of a fake: 127.0.0.1, a free port, gone when dropped.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{Captured, Recorder, Reply};
use crate::certificates::Pair;

/// What answers.
pub trait Fake: Send + Sync + 'static {
    /// The reply to one request.
    fn answer(&self, request: Captured) -> impl Future<Output = Reply> + Send;
}

/// A running fake.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    scheme: &'static str,
    up: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl FakeServer {
    /// Starts serving on a free port of 127.0.0.1.
    pub async fn start<F: Fake>(fake: Arc<F>) -> anyhow::Result<Self> {
        Self::serve(bind("127.0.0.1:0").await?, fake)
    }

    /// Serves on a listener that is there already: for a fake that must know its address first.
    pub fn serve<F: Fake>(listener: TcpListener, fake: Arc<F>) -> anyhow::Result<Self> {
        Self::serve_on(listener, fake, None)
    }

    /// Serves https with this certificate.
    pub fn serve_encrypted<F: Fake>(
        listener: TcpListener,
        fake: Arc<F>,
        pair: &Pair,
    ) -> anyhow::Result<Self> {
        let config = Arc::new(pair.server_config()?);
        Self::serve_on(listener, fake, Some(TlsAcceptor::from(config)))
    }

    fn serve_on<F: Fake>(
        listener: TcpListener,
        fake: Arc<F>,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<Self> {
        let address = listener
            .local_addr()
            .context("a bound listener has an address")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let router = Router::new().fallback(answer::<F>).with_state(fake);
        let (up, state) = watch::channel(true);
        let task = tokio::spawn(accept(listener, (router, tls), state));
        Ok(Self {
            address,
            scheme,
            up,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, or https, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Down: every connection breaks and new ones are closed before a byte is read. Up: as before.
    pub fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        // The connections live inside the task and end with it.
        self.task.abort();
    }
}

/// Binds, with a sentence if that fails.
pub(crate) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address}"))
}

async fn answer<F: Fake>(State(fake): State<Arc<F>>, request: Request) -> Response {
    let reply = match Captured::read(request).await {
        Ok(captured) => fake.answer(captured).await,
        Err(_) => Reply::new(StatusCode::PAYLOAD_TOO_LARGE),
    };
    reply.send().await
}

async fn accept(
    listener: TcpListener,
    (router, tls): (Router, Option<TlsAcceptor>),
    mut up: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted && *up.borrow() {
                    connections.spawn(receive(stream, tls.clone(), router.clone()));
                }
            }
            changed = up.changed() => match changed {
                Ok(()) if !*up.borrow() => connections.abort_all(),
                Ok(()) => {}
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn receive(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    match tls {
        None => converse(stream, router).await,
        // Whoever does not trust us hangs up here.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, router).await;
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    // A client that hangs up in the middle is what half of the tests are about.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A server that nobody should ask: it answers 200 to everything and counts.
#[derive(Debug)]
pub struct Bystander {
    asked: Arc<Recorder<()>>,
    server: FakeServer,
}

impl Bystander {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let asked = Arc::new(Recorder::default());
        let server = FakeServer::start(Arc::new(Attentive(Arc::clone(&asked)))).await?;
        Ok(Self { asked, server })
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How often it was asked.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.asked.hits(())
    }

    /// What it was asked.
    #[must_use]
    pub fn requests(&self) -> Vec<Captured> {
        self.asked.requests(())
    }
}

struct Attentive(Arc<Recorder<()>>);

impl Fake for Attentive {
    async fn answer(&self, request: Captured) -> Reply {
        self.0.note((), request);
        Reply::json(&serde_json::json!({}))
    }
}

/// Accepts connections and never says a word: a TLS handshake that does not come, a server that sleeps.
#[derive(Debug)]
pub struct SilentListener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl SilentListener {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = bind("127.0.0.1:0").await?;
        let address = listener
            .local_addr()
            .context("a bound listener has an address")?;
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SilentListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
