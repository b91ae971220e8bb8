//! The stores that are put to the test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hubkey_domain::clock::{TestClock, Timestamp};
use hubkey_starters::{
    process::RunFolder,
    redis::{Redis, USER, cluster::Cluster},
};
use hubkey_store::keys::{KeyRing, LookupMacKey};
use hubkey_store::{
    Store,
    memory::MemoryStore,
    redis::{Address, RedisSettings, RedisStore, Topology},
    sealed::SealedStore,
};
use tokio::sync::OnceCell;

/// One store, seen by two replicas, and a way to move time.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) replica: Arc<dyn Store>,
    clock: Arc<TestClock>,
    real_time: bool,
}

impl Subject {
    /// Lets time pass.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        if self.real_time {
            tokio::time::sleep(duration).await;
        }
    }
}

pub(crate) async fn memory() -> Subject {
    let clock = clock();
    let store = Arc::new(MemoryStore::new(clock.clone()));
    Subject {
        store: store.clone(),
        replica: store,
        clock,
        real_time: false,
    }
}

pub(crate) async fn redis() -> Subject {
    let index = fresh_index();
    Subject {
        store: Arc::new(open(&index).await),
        replica: Arc::new(open(&index).await),
        clock: clock(),
        real_time: true,
    }
}

pub(crate) async fn cluster() -> Subject {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    let start = async || Cluster::start("store-cluster").await.unwrap();
    let cluster = SHARED.get_or_init(start).await;
    let index = fresh_index();
    let open = async || {
        let settings = cluster_settings(cluster);
        Arc::new(RedisStore::open(settings, index.clone()).await.unwrap())
    };
    Subject {
        store: open().await,
        replica: open().await,
        clock: clock(),
        real_time: true,
    }
}

pub(crate) fn cluster_settings(cluster: &Cluster) -> RedisSettings {
    let nodes = cluster.addresses();
    let nodes = nodes.iter().map(|node| Address::parse(node).unwrap());
    let mut settings = RedisSettings::at(Topology::Cluster(nodes.collect()));
    settings.user = Some(USER.to_owned());
    settings.password = Some(cluster.password().to_owned().into());
    settings
}

pub(crate) async fn sealed_memory() -> Subject {
    let clock = clock();
    let memory = MemoryStore::new(clock.clone());
    let store = Arc::new(SealedStore::new(memory, ring(&[[1; 32]]), clock.clone()));
    Subject {
        store: store.clone(),
        replica: store,
        clock,
        real_time: false,
    }
}

pub(crate) async fn sealed_redis() -> Subject {
    let index = fresh_index();
    let clock = clock();
    let sealed = async || {
        Arc::new(SealedStore::new(
            open(&index).await,
            ring(&[[1; 32]]),
            clock.clone(),
        ))
    };
    Subject {
        store: sealed().await,
        replica: sealed().await,
        clock: clock.clone(),
        real_time: true,
    }
}

pub(crate) fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp::from_millis(1_800_000_000_000)))
}

pub(crate) fn ring(keys: &[[u8; 32]]) -> Arc<KeyRing> {
    Arc::new(KeyRing::from_keys(keys, &LookupMacKey::new(&[0xff; 32])).unwrap())
}

/// Another lookup MAC key is another set of names, so tests share a Redis and see nothing of each other.
pub(crate) fn fresh_index() -> LookupMacKey {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut bytes = [0; 32];
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    bytes[..4].copy_from_slice(&count.to_be_bytes());
    bytes[4..8].copy_from_slice(&std::process::id().to_be_bytes());
    LookupMacKey::new(&bytes)
}

pub(crate) async fn open(index: &LookupMacKey) -> RedisStore {
    let settings = RedisSettings::new(shared().await.url());
    RedisStore::open(settings, index.clone()).await.unwrap()
}

/// The Redis that all tests share which do nothing bad to it. Its user may do what the broker needs and nothing else.
async fn shared() -> &'static Redis {
    static SHARED: OnceCell<(RunFolder, Redis)> = OnceCell::const_new();
    let start = async || {
        let run = RunFolder::create("store").unwrap();
        let redis = Redis::start(&run).await.unwrap();
        (run, redis)
    };
    &SHARED.get_or_init(start).await.1
}
