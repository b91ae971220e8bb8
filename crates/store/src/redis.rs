//! The store of many replicas: Redis, which sees keyed hashes and whatever the values are (sealed, see
//! [`crate::sealed`]).
//!
//! A record is the hash `{g: generation, v: value}` under `hk:{<aggregate>}:<purpose>:<id>`, with both names as keyed
//! hashes, so that an aggregate lies in one slot of a cluster. Wake-ups travel over one channel and carry the keyed
//! hash of the key that changed, nothing else.

mod checks;
mod connection;
mod error;
mod names;
mod node;
mod patience;
mod replication;
mod resolver;
mod sentinel;
mod settings;
mod supervisor;
mod topology;
mod wakeups;

use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis::Script;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

pub use self::{
    error::{RedisOpenError, Refusal},
    settings::RedisSettings,
    topology::{Address, SentinelSettings, Topology},
};
use self::{
    names::Names,
    node::Node,
    patience::{PATIENCE, unavailable},
    resolver::Resolver,
    supervisor::Supervisor,
    wakeups::WakeUps,
};
use crate::keys::LookupMacKey;
use crate::{
    Action, Change, Expect, Key, Outcome, Record, Store, StoreError, Watch, telemetry::measured,
    validate,
};

/// How long a commit may take with the wait for replicas.
const COMMIT_PATIENCE: Duration = Duration::from_millis(900);

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/commit.lua")));

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/read.lua")));

/// A generation and a value.
type Row = (Option<u64>, Option<Vec<u8>>);

/// Records in Redis.
#[derive(Debug)]
pub struct RedisStore {
    supervisor: Supervisor,
    names: Names,
    wakeups: WakeUps,
}

impl RedisStore {
    /// Connects, checks that this Redis is fit to keep secrets, and subscribes to wake-ups.
    pub async fn open(
        settings: RedisSettings,
        index: LookupMacKey,
    ) -> Result<Self, RedisOpenError> {
        let supervisor = Supervisor::open(Resolver::new(settings)?).await?;
        Ok(Self {
            wakeups: WakeUps::subscribe(&supervisor).await?,
            supervisor,
            names: Names::new(index),
        })
    }

    /// What the work says, or that it took too long. After a failure the node is looked at.
    async fn doubting<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = timeout(PATIENCE, work)
            .await
            .unwrap_or_else(|elapsed| Err(unavailable(elapsed)));
        if result.is_err() {
            self.supervisor.doubt().notify_one();
        }
        result
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let node = self.supervisor.node().await?;
        // One record is read at one instant in any case.
        if let [key] = keys {
            let mut command = redis::cmd("HMGET");
            command.arg(self.names.record(key)).arg(&["g", "v"]);
            return Ok(vec![record(node.query(&command).await?)]);
        }
        let mut script = READ.prepare_invoke();
        for key in keys {
            script.key(self.names.record(key));
        }
        let rows: Vec<Row> = node.invoke(&script).await?;
        Ok(rows.into_iter().map(record).collect())
    }

    /// Also says where, so that the wait for replicas is for those of the same server.
    async fn carry_out(&self, changes: &[Change]) -> Result<(Arc<Node>, Outcome), StoreError> {
        let node = self.supervisor.node().await?;
        let mut script = COMMIT.prepare_invoke();
        script.arg(names::CHANNEL);
        for change in changes {
            self.describe(&mut script, change);
        }
        let done: bool = node.invoke(&script).await?;
        let outcome = if done {
            Outcome::Done
        } else {
            Outcome::Conflict
        };
        Ok((node, outcome))
    }

    /// The six arguments of `commit.lua` for one change.
    fn describe(&self, script: &mut redis::ScriptInvocation<'_>, change: &Change) {
        script.key(self.names.record(&change.key));
        match change.expect {
            Expect::Absent => script.arg(""),
            Expect::Generation(generation) => script.arg(generation),
        };
        match &change.action {
            Action::Put {
                generation,
                value,
                ttl,
                wake,
            } => {
                script.arg("put").arg(*generation);
                script.arg(&value[..]).arg(milliseconds(*ttl));
                if *wake {
                    script.arg(self.names.wakeup(&change.key))
                } else {
                    script.arg("")
                }
            }
            Action::Delete => script.arg(&["delete", "", "", "", ""]),
            Action::Keep => script.arg(&["keep", "", "", "", ""]),
        };
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        validate::one_aggregate(keys.iter())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        measured("read", self.doubting(self.records(keys))).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        validate::changes(&changes)?;
        if changes.is_empty() {
            return Ok(Outcome::Done);
        }
        let end = Instant::now() + COMMIT_PATIENCE;
        let work = self.doubting(self.carry_out(&changes));
        let (node, outcome) = measured("commit", work).await?;
        if let (Outcome::Done, Some(replication)) = (outcome, &node.replication) {
            measured("replicate", self.doubting(replication.wait(end))).await?;
        }
        Ok(outcome)
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        Ok(self.wakeups.watch(self.names.wakeup(key)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let work = async { self.supervisor.node().await?.ping().await };
        measured("ping", self.doubting(work)).await
    }

    fn record_name(&self, key: &Key) -> Option<String> {
        Some(self.names.record(key))
    }
}

fn record((generation, value): Row) -> Option<Record> {
    Some(Record {
        generation: generation?,
        value: Zeroizing::new(value?),
    })
}

/// Redis removes what has no time left at once, as it should, and refuses times beyond the end of its calendar.
fn milliseconds(ttl: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 3600 * 1000;
    u64::try_from(ttl.as_millis()).map_or(CENTURY, |ttl| ttl.min(CENTURY))
}
