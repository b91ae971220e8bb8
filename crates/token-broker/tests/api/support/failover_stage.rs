//! A store whose master dies at a commit, and what brings the next master.

use std::sync::{
    Arc, Mutex as StdMutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use hubkey_starters::redis::{
    USER,
    sentinels::{MASTER, SENTINEL_PASSWORD, Sentinels},
};
use hubkey_store::{
    Change, Key, Outcome, Record, Store, StoreError, Watch,
    redis::{Address, RedisSettings, SentinelSettings, Topology},
};
use tokio::sync::Mutex;

use crate::support::refresh_stage::open;

/// When the master dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before it has carried the commit out.
    Before,
    /// After it has answered, and its replicas have what it has.
    After,
    /// After it has answered, and nobody else has what it has.
    Lost,
}

/// A store in a group of servers whose master dies at one commit.
#[derive(Debug)]
pub(crate) struct Doomed {
    inner: Arc<dyn Store>,
    group: Arc<Mutex<Sentinels>>,
    due: StdMutex<Option<(usize, Moment)>>,
    /// Whether the master is dead, and nobody has taken care of it.
    dead: AtomicBool,
    died: AtomicBool,
}

impl Doomed {
    pub(crate) fn new(inner: Arc<dyn Store>, group: Arc<Mutex<Sentinels>>) -> Self {
        Self {
            inner,
            group,
            due: StdMutex::default(),
            dead: AtomicBool::new(false),
            died: AtomicBool::new(false),
        }
    }

    /// The master dies at this commit, counted from now.
    pub(crate) fn die_at(&self, commit: usize, moment: Moment) {
        *self.due.lock().unwrap() = Some((commit, moment));
    }

    pub(crate) fn has_died(&self) -> bool {
        self.died.load(Ordering::SeqCst)
    }

    /// Waits for the next master, brings the dead one back as its replica, and waits until the store is there again.
    pub(crate) async fn recover(&self) {
        if self.dead.swap(false, Ordering::SeqCst) {
            self.group.lock().await.fail_over().await.unwrap();
        }
        for _ in 0..100 {
            if self.inner.ping().await.is_ok() {
                return;
            }
        }
        panic!("the store did not come back");
    }

    fn due(&self) -> Option<Moment> {
        let mut due = self.due.lock().unwrap();
        let (left, moment) = (*due)?;
        *due = left.checked_sub(1).map(|left| (left, moment));
        (left == 0).then_some(moment)
    }

    fn kill(&self, group: &mut Sentinels) {
        group.kill_master().unwrap();
        self.dead.store(true, Ordering::SeqCst);
        self.died.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Doomed {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner.read(keys).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        let Some(moment) = self.due() else {
            return self.inner.commit(changes).await;
        };
        let mut group = self.group.lock().await;
        match moment {
            Moment::Before => {
                self.kill(&mut group);
                self.inner.commit(changes).await
            }
            Moment::After => {
                let outcome = self.inner.commit(changes).await;
                group.until_replicated().await.unwrap();
                self.kill(&mut group);
                outcome
            }
            Moment::Lost => {
                group.cut_replication().await.unwrap();
                let outcome = self.inner.commit(changes).await;
                self.kill(&mut group);
                group.mend_replication().await.unwrap();
                outcome
            }
        }
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.inner.watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

/// The store of a group.
pub(crate) async fn open_store(group: &Sentinels, replicas_required: u32) -> Arc<dyn Store> {
    let addresses = group.addresses();
    let mut settings = RedisSettings::at(Topology::Sentinel(SentinelSettings {
        addresses: addresses
            .iter()
            .map(|address| Address::parse(address).unwrap())
            .collect(),
        master: MASTER.to_owned(),
        user: None,
        password: Some(SENTINEL_PASSWORD.to_owned().into()),
    }));
    settings.user = Some(USER.to_owned());
    settings.password = Some(group.password().to_owned().into());
    settings.replicas_required = replicas_required;
    open(settings).await
}
