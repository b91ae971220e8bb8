//! Around a store: counts what was written, and fails on demand. The faults are below the trait, so that what is
//! tested is what the flows make of them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hubkey_store::{Change, Key, Outcome, Record, Store, StoreError, Watch};

/// What happens to one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitFault {
    /// Nothing: it goes through.
    None,
    /// It is not carried out.
    Lost,
    /// Another one was faster.
    Overtaken,
    /// It is carried out, but the answer does not arrive.
    AnswerLost,
    /// It is carried out, and nothing that comes after it.
    ThenDown,
    /// It is carried out, and the process stands still for a while before it goes on.
    Paused(Duration),
}

#[derive(Debug)]
pub(crate) struct Probe {
    inner: Arc<dyn Store>,
    commits: AtomicUsize,
    down: AtomicBool,
    deaf: AtomicBool,
    faults: Mutex<VecDeque<CommitFault>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the test said so")]
struct Injected;

impl Probe {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            commits: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            faults: Mutex::default(),
        }
    }

    /// The store around which it is.
    pub(crate) fn inner(&self) -> Arc<dyn Store> {
        Arc::clone(&self.inner)
    }

    /// How many commits changed something.
    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    /// Whether every operation fails from now on.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Whether every wake-up gets lost from now on.
    pub(crate) fn lose_wakeups(&self, lose: bool) {
        self.deaf.store(lose, Ordering::SeqCst);
    }

    /// What happens to the next commits, in order.
    pub(crate) fn next_commits(&self, faults: &[CommitFault]) {
        self.faults
            .lock()
            .expect("no test panicked here")
            .extend(faults);
    }

    /// Whether the next operation is carried out as it should be.
    pub(crate) fn is_calm(&self) -> bool {
        let faults = self.faults.lock().expect("no test panicked here");
        faults.is_empty() && !self.down.load(Ordering::SeqCst)
    }

    fn fault(&self) -> CommitFault {
        let mut faults = self.faults.lock().expect("no test panicked here");
        faults.pop_front().unwrap_or(CommitFault::None)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(failed());
        }
        Ok(())
    }
}

/// What runs at the same time gets between a read and the commit that follows, in memory too.
async fn others_turn() {
    tokio::task::yield_now().await;
}

fn failed() -> StoreError {
    StoreError::Unavailable(Box::new(Injected))
}

#[async_trait]
impl Store for Probe {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.check()?;
        let records = self.inner.read(keys).await;
        others_turn().await;
        records
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        others_turn().await;
        self.check()?;
        let fault = self.fault();
        if fault == CommitFault::Lost {
            return Err(failed());
        }
        if fault == CommitFault::Overtaken {
            return Ok(Outcome::Conflict);
        }
        let outcome = self.inner.commit(changes).await?;
        if outcome == Outcome::Done {
            self.commits.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            CommitFault::AnswerLost => return Err(failed()),
            CommitFault::ThenDown => self.set_down(true),
            CommitFault::Paused(pause) => tokio::time::sleep(pause).await,
            _ => {}
        }
        Ok(outcome)
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.check()?;
        if self.deaf.load(Ordering::SeqCst) {
            return Ok(Box::pin(std::future::pending()));
        }
        self.inner.watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check()?;
        self.inner.ping().await
    }

    fn record_name(&self, key: &Key) -> Option<String> {
        self.inner.record_name(key)
    }
}
