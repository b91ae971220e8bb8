//! What disturbs one broker: at each of its steps it may be late, stand still, die, or lose an answer of the store.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hubkey_domain::{
    clock::{Clock, Timestamp},
    identity::ServerIdentity,
    random::RandomSource,
};
use hubkey_protocol::secret::ServerToken;
use hubkey_store::{Change, Key, Outcome, Record, Store, StoreError, Watch};
use hubkey_token_broker::hub::{Freshness, KernelAuthenticator, KernelError};
use tokio::time::{Instant, sleep};

use crate::seeded::Seeded;

/// A clock that is ahead of another by as much as the test says.
#[derive(Debug)]
pub(crate) struct Ahead {
    of: Arc<dyn Clock>,
    millis: AtomicU64,
}

impl Ahead {
    pub(crate) fn of(of: Arc<dyn Clock>) -> Self {
        Self {
            of,
            millis: AtomicU64::new(0),
        }
    }

    pub(crate) fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let ahead = Duration::from_millis(self.millis.load(Ordering::SeqCst));
        self.of.now().after(ahead)
    }
}

/// The chance of one broker.
#[derive(Debug)]
pub(crate) struct SeededChance(Mutex<Seeded>);

impl SeededChance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Seeded::new(!seed)))
    }
}

impl RandomSource for SeededChance {
    fn fill(&self, bytes: &mut [u8]) {
        let mut chance = self.0.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&chance.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A step that takes so much longer than it was told to is a standstill too: the machine had much else to do.
pub(crate) const LATE: Duration = Duration::from_millis(100);
/// A step that is not unusual takes less than so many milliseconds.
pub(crate) const STEP: u64 = 60;

/// The steps of one broker, from its start to its death.
#[derive(Debug)]
pub(crate) struct Gate {
    chance: Mutex<Seeded>,
    disturbed: bool,
    dead: AtomicBool,
    /// Deaths, standstills, failures and lost answers of all brokers.
    incidents: Arc<AtomicUsize>,
}

impl Gate {
    pub(crate) fn new(seed: u64, disturbed: bool, incidents: &Arc<AtomicUsize>) -> Self {
        Self {
            incidents: Arc::clone(incidents),
            chance: Mutex::new(Seeded::new(seed)),
            disturbed,
            dead: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// One step. A broker that is dead takes no more.
    pub(crate) async fn step(&self) {
        if !self.disturbed {
            return;
        }
        match self.roll(100) {
            0..3 => {
                self.note();
                self.dead.store(true, Ordering::SeqCst);
            }
            3..6 => {
                self.note();
                self.rest(600 + self.roll(800)).await;
            }
            6..30 => self.rest(self.roll(STEP)).await,
            _ => self.within(Duration::ZERO, tokio::task::yield_now()).await,
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn rest(&self, millis: u64) {
        let time = Duration::from_millis(millis);
        self.within(time, sleep(time)).await;
    }

    /// What the store says. If it fails by itself, that is noted too.
    async fn asked<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = self.within(Duration::ZERO, question).await;
        if answer.is_err() {
            self.note();
        }
        answer
    }

    /// A step that takes so long, or longer if the machine makes it, which is noted.
    pub(crate) async fn within<T>(&self, time: Duration, step: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = step.await;
        if began.elapsed() > time + LATE {
            self.note();
        }
        done
    }

    fn roll(&self, end: u64) -> u64 {
        self.chance.lock().unwrap().below(end)
    }

    fn fails(&self) -> bool {
        let fails = self.disturbed && self.roll(100) < 4;
        if fails {
            self.note();
        }
        fails
    }

    fn note(&self) {
        self.incidents.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the test said so")]
struct Injected;

pub(crate) fn failed() -> StoreError {
    StoreError::Unavailable(Box::new(Injected))
}

/// A broker's way to the store.
#[derive(Debug)]
pub(crate) struct GatedStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) gate: Arc<Gate>,
}

#[async_trait]
impl Store for GatedStore {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.gate.step().await;
        let records = self.gate.asked(self.inner.read(keys)).await;
        self.gate.step().await;
        records
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        self.gate.step().await;
        if self.gate.fails() {
            return Err(failed());
        }
        let outcome = self.gate.asked(self.inner.commit(changes)).await;
        self.gate.step().await;
        if self.gate.fails() {
            return Err(failed());
        }
        outcome
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.inner.watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

/// Takes every token for that of one server.
#[derive(Debug)]
pub(crate) struct OneServer(pub(crate) ServerIdentity);

#[async_trait]
impl KernelAuthenticator for OneServer {
    async fn authenticate(
        &self,
        _: &ServerToken,
        _: Freshness,
        _: Option<IpAddr>,
    ) -> Result<ServerIdentity, KernelError> {
        Ok(self.0.clone())
    }

    fn is_service_token(&self, _: &ServerToken) -> bool {
        false
    }
}
