//! Between one broker and Redis or the provider: each message passes here, and at one of them something happens.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, Notify},
    time::sleep,
};

use crate::{
    brokers::{Broker, LONG_STOP},
    frames::{Protocol, find},
};

/// One message, as it is known again in another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProxyEvent {
    pub(crate) what: String,
    /// How many like it came before.
    pub(crate) before: usize,
}

/// What happens at an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The broker is killed, and the message gets lost.
    KillBefore,
    /// The message is passed on, and the broker is killed.
    KillAfter,
    /// The broker stands still for longer than a lease, and the message is passed on.
    Stop,
    /// The message is on its way for longer than a lease.
    Delay,
    /// Something in between sends a copy of the request first, and nobody hears the answer to that.
    Overtake,
    /// Something in between sends the request again after its answer, and passes that answer on too.
    Repeat,
}

/// What happens in a run, and when.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) event: ProxyEvent,
    pub(crate) fault: Fault,
}

/// A message that is to be passed on.
pub(crate) struct Message<'a> {
    /// Absent where it is no part of a refresh.
    pub(crate) what: Option<String>,
    pub(crate) bytes: &'a [u8],
    /// The request, if this is its answer.
    pub(crate) request: &'a [u8],
    /// Where requests go.
    pub(crate) far: SocketAddr,
    pub(crate) protocol: Protocol,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Interceptor {
    plan: Option<Plan>,
    armed: OnceLock<Armed>,
    state: Mutex<State>,
    reached: Notify,
    over: Arc<Notify>,
    stands_still: Arc<AtomicBool>,
    /// Who has connected.
    peers: std::sync::Mutex<Vec<SocketAddr>>,
    /// Whether the other broker may connect.
    others: AtomicBool,
}

#[derive(Debug)]
struct Armed {
    broker: Arc<Broker>,
    refresh_token: String,
    /// The way to the provider, which the other broker takes too.
    relay: SocketAddr,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<ProxyEvent>,
    /// When brokers sent the refresh token.
    sent: Vec<Instant>,
    /// What the broker told Redis: a wake-up with one of these words is of its own doing.
    told: HashSet<Vec<u8>>,
    reached: bool,
    killed: bool,
}

impl Interceptor {
    pub(crate) fn new(plan: Option<Plan>) -> Arc<Self> {
        Arc::new(Self {
            plan,
            ..Self::default()
        })
    }

    /// From now on messages count: the broker is about to refresh with this token.
    pub(crate) fn arm(&self, broker: Arc<Broker>, refresh_token: &str, relay: SocketAddr) {
        let armed = Armed {
            broker,
            refresh_token: refresh_token.to_owned(),
            relay,
        };
        assert!(self.armed.set(armed).is_ok(), "armed once");
    }

    /// Until the fault is begun: a broker that was to be killed is gone.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Until the broker goes on, or what was late has arrived.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    /// All that was seen until the fault, and what the broker had sent already when it was stopped.
    pub(crate) async fn seen(&self) -> Vec<ProxyEvent> {
        self.state.lock().await.seen.clone()
    }

    /// When brokers sent the refresh token.
    pub(crate) async fn sent(&self) -> Vec<Instant> {
        self.state.lock().await.sent.clone()
    }

    /// Whether this request carries the refresh token, and is no question whether the endpoint works.
    pub(crate) fn is_refresh(&self, request: &[u8]) -> bool {
        let armed = self.armed.get();
        armed.is_some_and(|armed| find(request, armed.refresh_token.as_bytes()).is_some())
    }

    /// Notes what the broker tells Redis.
    pub(crate) async fn tell(&self, words: Vec<Vec<u8>>) {
        if self.armed.get().is_some() {
            self.state.lock().await.told.extend(words);
        }
    }

    pub(crate) async fn was_told(&self, word: &[u8]) -> bool {
        self.state.lock().await.told.contains(word)
    }

    /// Somebody connects to a relay. Gives whether it is the broker of this run, and no other that comes after it.
    pub(crate) fn connects(&self, peer: SocketAddr) -> bool {
        let mut peers = self.peers.lock().unwrap();
        peers.push(peer);
        !self.others.load(Ordering::SeqCst)
    }

    /// Whoever connects from now on is another broker. Connections come in their order, so when one of our own has come,
    /// all of a broker that can make no more have.
    async fn others_come(&self, relay: SocketAddr) -> io::Result<()> {
        let last = TcpStream::connect(relay).await?;
        let last = last.local_addr()?;
        while !self.peers.lock().unwrap().contains(&last) {
            sleep(Duration::from_millis(1)).await;
        }
        self.others.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Passes it on, and does what is planned for it. Nothing else passes while a broker is being killed or stopped, and
    /// nothing of one that is dead ever.
    pub(crate) async fn pass<W: AsyncWrite + Unpin>(
        &self,
        message: Message<'_>,
        to: &mut W,
        own: bool,
    ) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if state.killed && own {
            drop(state);
            return std::future::pending().await;
        }
        let Some(armed) = self.armed.get() else {
            return to.write_all(message.bytes).await;
        };
        if self.is_refresh(message.bytes) {
            state.sent.push(Instant::now());
        }
        let what = message.what.as_ref().filter(|_| own);
        let Some(fault) = self.due(&mut state, what) else {
            return to.write_all(message.bytes).await;
        };
        state.reached = true;
        match fault {
            Fault::KillBefore | Fault::KillAfter => {
                if fault == Fault::KillAfter {
                    to.write_all(message.bytes).await?;
                }
                armed.broker.end().await;
                state.killed = true;
                self.others_come(armed.relay).await?;
                self.begun_and_over();
            }
            Fault::Stop => self.stop(armed, &message, to).await?,
            Fault::Delay | Fault::Overtake | Fault::Repeat => {
                drop(state);
                self.reached.notify_one();
                let passed = meddle(fault, &message, to).await;
                self.over.notify_one();
                passed?;
            }
        }
        Ok(())
    }

    async fn stop<W: AsyncWrite + Unpin>(
        &self,
        armed: &Armed,
        message: &Message<'_>,
        to: &mut W,
    ) -> io::Result<()> {
        armed.broker.halt().await;
        self.others_come(armed.relay).await?;
        self.reached.notify_one();
        self.stands_still.store(true, Ordering::SeqCst);
        let (broker, over) = (Arc::clone(&armed.broker), Arc::clone(&self.over));
        let stands_still = Arc::clone(&self.stands_still);
        tokio::spawn(async move {
            sleep(LONG_STOP).await;
            stands_still.store(false, Ordering::SeqCst);
            broker.go_on();
            over.notify_one();
        });
        to.write_all(message.bytes).await
    }

    fn begun_and_over(&self) {
        self.reached.notify_one();
        self.over.notify_one();
    }

    /// Notes an event; gives what is planned for it.
    fn due(&self, state: &mut State, what: Option<&String>) -> Option<Fault> {
        let counts = !state.reached || self.stands_still.load(Ordering::SeqCst);
        let what = what.filter(|_| counts)?.clone();
        let before = state.seen.iter().filter(|seen| seen.what == what).count();
        let event = ProxyEvent { what, before };
        state.seen.push(event.clone());
        let plan = self.plan.as_ref().filter(|plan| plan.event == event)?;
        Some(plan.fault)
    }
}

/// What the network does.
async fn meddle<W: AsyncWrite + Unpin>(
    fault: Fault,
    message: &Message<'_>,
    to: &mut W,
) -> io::Result<()> {
    match fault {
        Fault::Delay => sleep(LONG_STOP).await,
        Fault::Overtake => drop(ask(message, message.bytes).await?),
        _ => {}
    }
    to.write_all(message.bytes).await?;
    if fault == Fault::Repeat {
        let again = ask(message, message.request).await?;
        // Who has closed the connection does not hear it.
        let _ = to.write_all(&again).await;
    }
    Ok(())
}

/// Asks on a connection of its own.
async fn ask(message: &Message<'_>, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut far = TcpStream::connect(message.far).await?;
    far.write_all(request).await?;
    let mut answer = Vec::new();
    while message.protocol.whole(&answer).is_none() {
        if far.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(answer)
}
