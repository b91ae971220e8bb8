//! An outbound proxy as a company has one: asked for a tunnel to a name, it leads to one address, whatever the name, or
//! does something else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Authority, Pair};
use crate::fake_http::{locked, server::bind};

/// What it does with whoever asks for a tunnel.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Leads to the address.
    Tunnel,
    /// Leads to the address where the header `Proxy-Authorization` is this; else 407.
    TunnelFor(String),
    /// Answers with this status line and its headers, without an empty line at the end.
    Answer(&'static str),
    /// Reads the request and closes the connection.
    HangUp,
    /// Reads the request and says nothing.
    Silent,
    /// Says that the tunnel is there, and plays the other end itself, with this certificate.
    Pretend(Pair),
    /// Leads to the address, and cuts the tunnel after so many bytes from there.
    Cut(u64),
}

/// A request for a tunnel, and what went through it.
#[derive(Debug, Clone, Default)]
pub struct Tunnel {
    /// `CONNECT <name>:<port> HTTP/1.1` and the headers.
    pub head: String,
    /// What the client sent after that; where the proxy pretended, what it could read of it.
    pub sent: Vec<u8>,
}

impl Tunnel {
    /// What was asked for, such as `op.example.org:443`; the whole first line where it is no request for a tunnel.
    #[must_use]
    pub fn target(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_prefix("CONNECT ")
            .and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
            .unwrap_or(line)
    }

    /// The value of a header, whose name is written in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct ConnectProxy {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    behaviour: Mutex<Behaviour>,
    tunnels: Mutex<Vec<Tunnel>>,
}

impl ConnectProxy {
    /// Starts one that is spoken to without TLS and leads to this address.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        Self::serve(target, None).await
    }

    /// Starts one that speaks TLS, with a certificate that this authority has signed.
    pub async fn start_encrypted(
        target: SocketAddr,
        authority: &Authority,
    ) -> anyhow::Result<Self> {
        let config = authority.issue(&["127.0.0.1"])?.server_config()?;
        Self::serve(target, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(target: SocketAddr, tls: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let listener = bind("127.0.0.1:0").await?;
        let address = listener
            .local_addr()
            .context("a bound listener has an address")?;
        let shared = Arc::new(Shared {
            target,
            behaviour: Mutex::new(Behaviour::Tunnel),
            tunnels: Mutex::default(),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let inner = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&inner).receive(stream, tls.clone()));
            }
        });
        Ok(Self {
            address,
            scheme,
            shared,
            task,
        })
    }

    /// `http://127.0.0.1:<port>`, or https.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// What it does from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *locked(&self.shared.behaviour) = behaviour;
    }

    /// What it was asked for, oldest first.
    #[must_use]
    pub fn tunnels(&self) -> Vec<Tunnel> {
        locked(&self.shared.tunnels).clone()
    }

    /// Forgets what it was asked for.
    pub fn forget(&self) {
        locked(&self.shared.tunnels).clear();
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        // The connections live inside the task and end with it.
        self.task.abort();
    }
}

impl Shared {
    async fn receive(self: Arc<Self>, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // A client that hangs up in the middle is what half of the tests are about.
        let _ = match tls {
            None => self.converse(stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.converse(stream).await,
                Err(error) => Err(error.into()),
            },
        };
    }

    async fn converse(
        &self,
        mut client: impl AsyncRead + AsyncWrite + Unpin,
    ) -> anyhow::Result<()> {
        let head = read_head(&mut client).await?;
        let behaviour = locked(&self.behaviour).clone();
        let tunnel = Tunnel {
            head,
            sent: Vec::new(),
        };
        let authorized = match &behaviour {
            Behaviour::TunnelFor(expected) => {
                tunnel.header("proxy-authorization") == Some(expected)
            }
            _ => true,
        };
        let number = {
            let mut tunnels = locked(&self.tunnels);
            tunnels.push(tunnel);
            tunnels.len() - 1
        };
        match behaviour {
            Behaviour::Tunnel => self.lead(client, number, u64::MAX).await,
            Behaviour::TunnelFor(_) if authorized => self.lead(client, number, u64::MAX).await,
            Behaviour::TunnelFor(_) => answer(&mut client, ASKING).await,
            Behaviour::Answer(head) => answer(&mut client, head).await,
            Behaviour::HangUp => Ok(()),
            Behaviour::Silent => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Ok(())
            }
            Behaviour::Pretend(pair) => {
                answer(&mut client, ESTABLISHED).await?;
                let tls = TlsAcceptor::from(Arc::new(pair.server_config()?));
                self.record(&mut tls.accept(client).await?, number, None)
                    .await
            }
            Behaviour::Cut(after) => self.lead(client, number, after).await,
        }
    }

    /// Carries bytes both ways until one side ends, or so many came back.
    async fn lead(
        &self,
        mut client: impl AsyncRead + AsyncWrite + Unpin,
        number: usize,
        after: u64,
    ) -> anyhow::Result<()> {
        let mut target = TcpStream::connect(self.target).await?;
        answer(&mut client, ESTABLISHED).await?;
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (from_target, mut to_target) = target.split();
        let mut from_target = from_target.take(after);
        tokio::select! {
            ended = self.record(&mut from_client, number, Some(&mut to_target)) => ended,
            ended = tokio::io::copy(&mut from_target, &mut to_client) => Ok(ended.map(|_| ())?),
        }
    }

    /// Notes what comes, and hands it on.
    async fn record(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        number: usize,
        mut to: Option<&mut (dyn AsyncWrite + Unpin + Send)>,
    ) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let read = from.read(&mut buffer).await?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            if let Some(tunnel) = locked(&self.tunnels).get_mut(number) {
                tunnel.sent.extend_from_slice(bytes);
            }
            if let Some(to) = &mut to {
                to.write_all(bytes).await?;
            }
        }
    }
}

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n";
const ASKING: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n";

async fn answer(client: &mut (impl AsyncWrite + Unpin), head: &str) -> anyhow::Result<()> {
    client.write_all(head.as_bytes()).await?;
    client.write_all(b"\r\n").await?;
    client.flush().await?;
    Ok(())
}

/// Up to the empty line, and not a byte further.
async fn read_head(client: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(
            head.len() < 16 * 1024,
            "the head of the request does not end"
        );
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8(head)?)
}
