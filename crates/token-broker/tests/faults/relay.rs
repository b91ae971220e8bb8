//! What stands between a broker and Redis, or a provider: every message passes its interceptor.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinHandle, JoinSet},
};

use crate::{
    frames::{Protocol, find, request_line, words},
    interceptor::{Interceptor, Message},
};

/// What brokers ask Redis for reasons of their own.
const CARES: [&str; 9] = [
    "PING",
    "INFO",
    "ROLE",
    "AUTH",
    "HELLO",
    "CLIENT",
    "SELECT",
    "SUBSCRIBE",
    "SCRIPT",
];

/// A listener whose connections go on to another.
#[derive(Debug)]
pub(crate) struct Relay {
    listener: Option<TcpListener>,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl Relay {
    /// Takes an address, and no connection yet.
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener: Some(listener),
            task: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections go there.
    pub(crate) fn lead(
        &mut self,
        protocol: Protocol,
        far: SocketAddr,
        interceptor: &Arc<Interceptor>,
    ) {
        let way = Way {
            protocol,
            far,
            interceptor: Arc::clone(interceptor),
        };
        let listener = self.listener.take().expect("it leads somewhere once");
        self.task = Some(tokio::spawn(accept(listener, way)));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The connections live inside the task and end with it.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((near, peer)) = accepted {
                    let own = way.interceptor.connects(peer);
                    connections.spawn(way.clone().converse(near, own));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Where a relay leads.
#[derive(Debug, Clone)]
struct Way {
    protocol: Protocol,
    far: SocketAddr,
    interceptor: Arc<Interceptor>,
}

/// Whoever closes its end is told of the other's. What a broker has sent before counts all the same, even if it arrives
/// when the broker is gone: the other end is not told, and does not drop it.
async fn closed(toward: Toward, mut to: OwnedWriteHalf) -> io::Result<()> {
    match toward {
        Toward::Far => std::future::pending().await,
        Toward::Broker => to.shutdown().await,
    }
}

/// Requests that have no answer yet, with their names.
type Asked = Mutex<VecDeque<(Option<String>, Vec<u8>)>>;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toward {
    Far,
    Broker,
}

impl Way {
    async fn converse(self, near: TcpStream, own: bool) -> io::Result<()> {
        let far = TcpStream::connect(self.far).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let asked = Asked::default();
        let (from_near, to_near) = near.into_split();
        let (from_far, to_far) = far.into_split();
        let out = self.pump(Toward::Far, from_near, to_far, (&asked, own));
        let back = self.pump(Toward::Broker, from_far, to_near, (&asked, own));
        let (out, back) = tokio::join!(out, back);
        out.and(back)
    }

    async fn pump(
        &self,
        toward: Toward,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        (asked, own): (&Asked, bool),
    ) -> io::Result<()> {
        let mut waiting = Vec::new();
        loop {
            while let Some(length) = self.protocol.whole(&waiting) {
                let bytes: Vec<_> = waiting.drain(..length).collect();
                let (what, request) = match toward {
                    Toward::Far => (self.question(&bytes, asked).await, Vec::new()),
                    Toward::Broker => self.answer(&bytes, asked).await,
                };
                let message = Message {
                    what,
                    bytes: &bytes,
                    request: &request,
                    far: self.far,
                    protocol: self.protocol,
                };
                self.interceptor.pass(message, &mut to, own).await?;
            }
            if from.read_buf(&mut waiting).await? == 0 {
                return closed(toward, to).await;
            }
        }
    }

    /// The name of a request; it waits for its answer from now on.
    async fn question(&self, bytes: &[u8], asked: &Asked) -> Option<String> {
        let what = match self.protocol {
            Protocol::Http => {
                let line = request_line(bytes);
                let probe = line == "POST /token" && !self.interceptor.is_refresh(bytes);
                Some(if probe {
                    format!("{line} (probe)")
                } else {
                    line
                })
            }
            Protocol::Redis => {
                let words = words(bytes);
                let command = words.first().map(|word| word.to_ascii_uppercase());
                let command = String::from_utf8(command.unwrap_or_default()).unwrap();
                self.interceptor.tell(words).await;
                (!CARES.contains(&command.as_str())).then_some(command)
            }
        };
        asked
            .lock()
            .unwrap()
            .push_back((what.clone(), bytes.to_vec()));
        what
    }

    /// The name of an answer, and what it answers; or of a wake-up that the broker caused.
    async fn answer(&self, bytes: &[u8], asked: &Asked) -> (Option<String>, Vec<u8>) {
        if self.protocol == Protocol::Redis && find(bytes, b"\r\n$7\r\nmessage\r\n").is_some() {
            let words = words(bytes);
            let own = self
                .interceptor
                .was_told(words.last().map_or(&[], Vec::as_slice))
                .await;
            return (own.then(|| "wake-up".to_owned()), Vec::new());
        }
        let (what, request) = asked.lock().unwrap().pop_front().unwrap_or_default();
        (what.map(|what| format!("answer to {what}")), request)
    }
}
