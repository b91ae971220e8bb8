//! A store whose failover loses the last commit, and each broker's way to it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hubkey_domain::clock::{Clock, Timestamp};
use hubkey_store::{
    Action, Change, Key, Outcome, Record, Store, StoreError, Watch, memory::MemoryStore,
};
use tokio::time::Instant;

use crate::{
    rotation_gate::failed,
    scheduler::{Scheduler, Step, Turn},
};

/// The time of the runtime, which stands while anybody has something to do.
#[derive(Debug)]
pub(crate) struct RuntimeClock {
    begin: Instant,
    /// In place of the time, while a store is made anew.
    then: Mutex<Option<Timestamp>>,
}

impl RuntimeClock {
    pub(crate) fn new() -> Self {
        Self {
            begin: Instant::now(),
            then: Mutex::default(),
        }
    }

    fn set(&self, then: Option<Timestamp>) {
        *self.then.lock().unwrap() = then;
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::from_millis(1_800_000_000_000).after(self.begin.elapsed());
        self.then.lock().unwrap().unwrap_or(now)
    }
}

/// A commit that was carried out, and when.
#[derive(Debug)]
struct Committed {
    at: Timestamp,
    changes: Vec<Change>,
    /// Whether somebody was told so. What a site has confirmed by its replicas is not lost then.
    acknowledged: bool,
}

/// The master, and what it has carried out.
#[derive(Debug)]
pub(crate) struct LossyStore {
    clock: Arc<RuntimeClock>,
    master: Mutex<Arc<MemoryStore>>,
    log: Mutex<Vec<Committed>>,
}

impl LossyStore {
    pub(crate) fn new(clock: &Arc<RuntimeClock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            master: Mutex::new(empty(clock)),
            log: Mutex::default(),
        }
    }

    fn master(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.master.lock().unwrap())
    }

    async fn carry_out(
        &self,
        changes: Vec<Change>,
        acknowledged: bool,
    ) -> Result<Outcome, StoreError> {
        let copies = changes.iter().map(copy).collect();
        let outcome = self.master().commit(changes).await?;
        if outcome == Outcome::Done {
            self.log.lock().unwrap().push(Committed {
                at: self.clock.now(),
                changes: copies,
                acknowledged,
            });
        }
        Ok(outcome)
    }

    /// Whether there is a commit to lose, after the first, which made the connection.
    pub(crate) fn may_lose(&self, acknowledged: bool) -> bool {
        let log = self.log.lock().unwrap();
        let last = log.last().filter(|_| log.len() > 1);
        last.is_some_and(|last| acknowledged || !last.acknowledged)
    }

    /// Another master, which has all but the last commit. Nobody is woken by it.
    pub(crate) async fn fail_over(&self) {
        let replica = empty(&self.clock);
        let mut log = std::mem::take(&mut *self.log.lock().unwrap());
        log.pop();
        for committed in &log {
            self.clock.set(Some(committed.at));
            let changes = committed.changes.iter().map(copy).collect();
            let again = replica.commit(changes).await;
            assert!(matches!(again, Ok(Outcome::Done)), "the log is whole");
        }
        self.clock.set(None);
        *self.log.lock().unwrap() = log;
        *self.master.lock().unwrap() = replica;
    }
}

fn empty(clock: &Arc<RuntimeClock>) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(Arc::clone(clock) as Arc<dyn Clock>))
}

fn copy(change: &Change) -> Change {
    let action = match &change.action {
        Action::Put {
            generation,
            value,
            ttl,
            wake,
        } => Action::Put {
            generation: *generation,
            value: value.clone(),
            ttl: *ttl,
            wake: *wake,
        },
        Action::Delete => Action::Delete,
        Action::Keep => Action::Keep,
    };
    Change {
        key: change.key.clone(),
        expect: change.expect,
        action,
    }
}

#[async_trait]
impl Store for LossyStore {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.master().read(keys).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        self.carry_out(changes, true).await
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.master().watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// One broker's way to it.
#[derive(Debug)]
pub(crate) struct SteppedStore {
    pub(crate) store: Arc<LossyStore>,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) broker: usize,
}

#[async_trait]
impl Store for SteppedStore {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        match self.scheduler.step(self.broker, Step::Read).await {
            Turn::Go => self.store.read(keys).await,
            _ => Err(failed()),
        }
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        match self.scheduler.step(self.broker, Step::Commit).await {
            Turn::Go => self.store.commit(changes).await,
            Turn::LoseAnswer => {
                let (Outcome::Done | Outcome::Conflict) =
                    self.store.carry_out(changes, false).await?;
                Err(failed())
            }
            _ => Err(failed()),
        }
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.store.watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
