//! The store of many replicas: Redis, which sees keyed hashes and whatever the values are (sealed, see
//! [`super::sealed`]).
//!
//! A record is the hash `{g: generation, v: value}` under `hk:{<aggregate>}:<purpose>:<id>`, with both names as keyed
//! hashes, so that an aggregate lies in one slot of a cluster. Wake-ups travel over one channel and carry the keyed
//! hash of the key that changed, nothing else.

mod checks;
mod names;
mod replication;
mod settings;
mod wakeups;

use std::{fmt, future::Future, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{
    Client, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

pub use self::{checks::Refusal, settings::RedisSettings};
use self::{names::Names, replication::Replication, wakeups::WakeUps};
use super::{
    Action, Change, Expect, Key, Outcome, Record, Store, StoreError, Watch, guard,
    telemetry::measured,
};
use crate::keys::IndexKey;

/// A Redis that is silent for this long counts as dead; below the second within which a kernel gets its 503.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long each step of the start may take: nobody waits for it yet, and reading the system's authorities for the first
/// time on a busy machine is slow.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// How long a commit may take with the wait for replicas.
const COMMIT_PATIENCE: Duration = Duration::from_millis(900);

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/commit.lua")));

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/read.lua")));

/// A generation and a value.
type Row = (Option<u64>, Option<Vec<u8>>);

/// Why a Redis was not taken at start.
#[derive(Debug, thiserror::Error)]
pub enum RedisOpenError {
    /// The address, or what belongs to it, is of no use.
    #[error("the address of Redis cannot be used")]
    Address(#[source] redis::RedisError),
    /// It is not safe to keep secrets there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It does not answer.
    #[error("Redis does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Records in Redis.
pub struct RedisStore {
    connection: ConnectionManager,
    names: Names,
    wakeups: WakeUps,
    replication: Option<Replication>,
}

impl RedisStore {
    /// Connects, checks that this Redis is fit to keep secrets, and subscribes to wake-ups.
    pub async fn open(settings: RedisSettings, index: IndexKey) -> Result<Self, RedisOpenError> {
        let client = settings.client()?;
        checks::address(&client, &settings)?;
        checks::server(&client, &settings).await?;
        let replication = match settings.replicas_required {
            0 => None,
            replicas => Some(Replication::open(
                connect(&client, replication::PATIENCE)?,
                replicas,
            )),
        };
        Ok(Self {
            connection: connect(&client, PATIENCE)?,
            names: Names::new(index),
            wakeups: WakeUps::subscribe(client).await?,
            replication,
        })
    }

    async fn records(&self, keys: &[Key]) -> RedisResult<Vec<Option<Record>>> {
        let mut script = READ.prepare_invoke();
        for key in keys {
            script.key(self.names.record(key));
        }
        let mut connection = self.connection.clone();
        let rows: Vec<Row> = script.invoke_async(&mut connection).await?;
        Ok(rows.into_iter().map(record).collect())
    }

    async fn carry_out(&self, changes: &[Change]) -> RedisResult<Outcome> {
        let mut script = COMMIT.prepare_invoke();
        script.arg(names::CHANNEL);
        for change in changes {
            self.describe(&mut script, change);
        }
        let mut connection = self.connection.clone();
        let done: bool = script.invoke_async(&mut connection).await?;
        Ok(if done {
            Outcome::Done
        } else {
            Outcome::Conflict
        })
    }

    /// The six arguments of `commit.lua` for one change.
    fn describe(&self, script: &mut redis::ScriptInvocation<'_>, change: &Change) {
        script.key(self.names.record(&change.key));
        match change.expect {
            Expect::Absent => script.arg(""),
            Expect::Generation(generation) => script.arg(generation),
        };
        match &change.action {
            Action::Put { value, ttl, wake } => {
                script.arg("put").arg(change.expect.next());
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
        guard::one_aggregate(keys.iter())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        measured("read", answer(self.records(keys))).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        guard::changes(&changes)?;
        if changes.is_empty() {
            return Ok(Outcome::Done);
        }
        let end = Instant::now() + COMMIT_PATIENCE;
        let outcome = measured("commit", answer(self.carry_out(&changes))).await?;
        if let (Outcome::Done, Some(replication)) = (outcome, &self.replication) {
            measured("replicate", replication.wait(end)).await?;
        }
        Ok(outcome)
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        Ok(self.wakeups.watch(self.names.wakeup(key)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let command = redis::cmd("PING");
        measured("ping", answer(command.exec_async(&mut connection))).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("wakeups", &self.wakeups)
            .field("replication", &self.replication)
            .finish_non_exhaustive()
    }
}

/// A connection that comes back by itself, for as long as the process lives.
fn connect(client: &Client, patience: Duration) -> Result<ConnectionManager, RedisOpenError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(patience))
        // Without an end: who asks meanwhile gives up by `answer`, and nobody has to ask for it to go on.
        .set_number_of_retries(usize::MAX)
        .set_max_delay(Duration::from_millis(250))
        // The default of 50 makes callers queue when many kernels wake up at once.
        .set_pipeline_buffer_size(1024);
    ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(RedisOpenError::Address)
}

/// Waits no longer than is decent: the connection's own limit begins only once there is a connection.
async fn answer<T>(operation: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    answer_within(PATIENCE, operation).await
}

async fn answer_within<T>(
    patience: Duration,
    operation: impl Future<Output = RedisResult<T>>,
) -> Result<T, StoreError> {
    match timeout(patience, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unavailable(error)),
        Err(elapsed) => Err(unavailable(elapsed)),
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
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
