//! A world whose encryption keys the operator changes, on either store.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use hubkey_starters::{process::RunFolder, redis::Redis};
use hubkey_store::keys::{KeyRing, LookupMacKey, generate};
use hubkey_store::{
    Action, Change, Expect, Key, Outcome, Record, Store,
    memory::MemoryStore,
    redis::{RedisSettings, RedisStore},
    sealed::SealedStore,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::support::world::{World, WorldOptions};

/// Which store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Memory,
    Redis,
}

/// A broker with two places for encryption keys, and what lies below the seal.
pub(crate) struct KeyStage {
    pub(crate) world: World,
    /// Below the seal: what somebody sees who reads and writes Redis.
    pub(crate) bare: Arc<dyn Store>,
    pub(crate) redis: Option<(Redis, RunFolder)>,
    ring: Arc<KeyRing>,
    folder: TempDir,
}

impl KeyStage {
    /// `k1` seals, and is the only key.
    pub(crate) async fn new(backend: Backend) -> Self {
        Self::with(backend, WorldOptions::default()).await
    }

    pub(crate) async fn with(backend: Backend, options: WorldOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for key in ["k1", "k2"] {
            generate(&folder.path().join(key)).unwrap();
        }
        place(folder.path(), ["k1", "k1"]);
        // As the world's.
        let index = LookupMacKey::new(&[7; 32]);
        let files = files(folder.path()).to_vec();
        let ring = Arc::new(KeyRing::open(files, &index).unwrap());
        let redis = match backend {
            Backend::Memory => None,
            Backend::Redis => {
                let run = RunFolder::create("keys").unwrap();
                Some((Redis::start(&run).await.unwrap(), run))
            }
        };
        let opened: Option<Arc<dyn Store>> = match &redis {
            None => None,
            Some((redis, _)) => {
                let settings = RedisSettings::new(redis.url());
                Some(Arc::new(RedisStore::open(settings, index).await.unwrap()))
            }
        };
        let below = Arc::new(OnceLock::new());
        let (kept, sealing) = (Arc::clone(&below), Arc::clone(&ring));
        let world = World::with(WorldOptions {
            store: Some(Box::new(move |clock, _| {
                let memory = || Arc::new(MemoryStore::new(Arc::clone(&clock))) as Arc<dyn Store>;
                let bare = opened.unwrap_or_else(memory);
                kept.set(Arc::clone(&bare)).unwrap();
                Arc::new(SealedStore::new(bare, sealing, clock))
            })),
            ..options
        })
        .await;
        Self {
            world,
            bare: Arc::clone(below.get().unwrap()),
            redis,
            ring,
            folder,
        }
    }

    /// Puts these keys into the two files, and lets the broker read them again.
    pub(crate) fn keys(&self, keys: [&str; 2]) {
        place(self.folder.path(), keys);
        self.ring.reload().unwrap();
    }

    /// `k1` leaked and is taken out at once.
    pub(crate) fn leak(&self) {
        self.keys(["k2", "k2"]);
    }

    /// The record as it is stored.
    pub(crate) async fn sealed(&self, key: &Key) -> Option<Record> {
        let records = self.bare.read(std::slice::from_ref(key)).await.unwrap();
        records.into_iter().next().unwrap()
    }

    /// The name of the key that sealed a record, as it stands in metrics and logs.
    pub(crate) async fn sealed_with(&self, key: &Key) -> String {
        let record = self.sealed(key).await.expect("it is there");
        hubkey_token_broker::audit::hex(&record.value[2..10])
    }

    /// As `DEL` does it.
    pub(crate) async fn delete(&self, key: &Key) {
        let there = self.sealed(key).await.expect("it is there");
        let delete = Change::delete(key.clone(), there.generation);
        assert_eq!(self.bare.commit(vec![delete]).await.unwrap(), Outcome::Done);
    }

    /// As `RESTORE … REPLACE` does it.
    pub(crate) async fn restore(&self, key: &Key, record: &Record) {
        self.delete(key).await;
        let put = Action::Put {
            generation: record.generation,
            value: Zeroizing::new(record.value.to_vec()),
            ttl: std::time::Duration::from_hours(1),
            wake: false,
        };
        let change = Change {
            key: key.clone(),
            expect: Expect::Absent,
            action: put,
        };
        assert_eq!(self.bare.commit(vec![change]).await.unwrap(), Outcome::Done);
    }
}

fn files(folder: &Path) -> [PathBuf; 2] {
    ["first", "second"].map(|name| folder.join(name))
}

fn place(folder: &Path, keys: [&str; 2]) {
    for (file, key) in files(folder).iter().zip(keys) {
        fs::copy(folder.join(key), file).unwrap();
    }
}
