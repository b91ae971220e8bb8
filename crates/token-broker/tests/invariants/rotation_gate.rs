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
use hubkey_protocol::secret::HubToken;
use hubkey_token_broker::{
    domain::{
        clock::{Clock, Timestamp},
        kernel::Kernel,
    },
    hub::{Freshness, KernelAuthenticator, KernelError},
    store::{Change, Key, Outcome, Record, Store, StoreError, Watch},
    system::SystemClock,
};
use tokio::time::sleep;

use crate::seeded::Seeded;

/// The machine's clock, ahead by as much as the test says.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicU64);

impl Ahead {
    pub(crate) fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let ahead = Duration::from_millis(self.0.load(Ordering::SeqCst));
        SystemClock.now().after(ahead)
    }
}

/// The steps of one broker, from its start to its death.
#[derive(Debug)]
pub(crate) struct Gate {
    chance: Mutex<Seeded>,
    disturbed: bool,
    dead: AtomicBool,
    /// Deaths, standstills and lost answers of all brokers.
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
                sleep(Duration::from_millis(600 + self.roll(800))).await;
            }
            6..30 => sleep(Duration::from_millis(self.roll(60))).await,
            _ => tokio::task::yield_now().await,
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
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
        let records = self.inner.read(keys).await;
        self.gate.step().await;
        records
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        self.gate.step().await;
        if self.gate.fails() {
            return Err(failed());
        }
        let outcome = self.inner.commit(changes).await;
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
pub(crate) struct OneServer(pub(crate) Kernel);

#[async_trait]
impl KernelAuthenticator for OneServer {
    async fn authenticate(
        &self,
        _: &HubToken,
        _: Freshness,
        _: Option<IpAddr>,
    ) -> Result<Kernel, KernelError> {
        Ok(self.0.clone())
    }

    fn is_the_hub(&self, _: &HubToken) -> bool {
        false
    }
}
