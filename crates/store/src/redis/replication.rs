//! Waiting until replicas hold what was committed.
//!
//! `WAIT` holds up its whole connection, so it has one of its own; and it counts what *that* connection wrote last, so
//! a small write goes in front. One wait answers everybody who committed before it began.

use std::{fmt, time::Duration};

use redis::{RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::patience::{answer, unavailable};
use crate::StoreError;

/// How long replicas may take.
const WAIT: Duration = Duration::from_millis(500);
/// How many may queue for the next wait; as many as there are polls at most.
const QUEUE: usize = 1024;

#[derive(Debug, thiserror::Error)]
enum NotReplicated {
    #[error("the task that waits for replicas has ended")]
    Ended,
    #[error("too few replicas of Redis hold the commit")]
    TooFew,
}

type Waiter = oneshot::Sender<bool>;

/// The queue in front of `WAIT`.
pub(super) struct Replication {
    queue: mpsc::Sender<Waiter>,
    connection: MultiplexedConnection,
    _task: AbortOnDropHandle<()>,
}

impl Replication {
    pub(super) fn open(connection: MultiplexedConnection, replicas: u32) -> Self {
        let (queue, waiters) = mpsc::channel(QUEUE);
        let task = tokio::spawn(serve(connection.clone(), replicas, waiters));
        Self {
            queue,
            connection,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Whether its connection is still there.
    pub(super) async fn answers(&self) -> bool {
        let mut connection = self.connection.clone();
        answer(redis::cmd("PING").exec_async(&mut connection))
            .await
            .is_ok()
    }

    /// Ends when enough replicas hold all that was written before.
    pub(super) async fn wait(&self, end: Instant) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        let held = timeout_at(end, async {
            self.queue.send(sender).await.ok()?;
            receiver.await.ok()
        });
        match held.await {
            Ok(Some(held)) if held => Ok(()),
            Ok(Some(_)) | Err(_) => Err(unavailable(NotReplicated::TooFew)),
            Ok(None) => Err(unavailable(NotReplicated::Ended)),
        }
    }
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replication")
            .field("free", &self.queue.capacity())
            .finish_non_exhaustive()
    }
}

async fn serve(
    connection: MultiplexedConnection,
    replicas: u32,
    mut queue: mpsc::Receiver<Waiter>,
) {
    let mut waiters = Vec::new();
    while queue.recv_many(&mut waiters, QUEUE).await > 0 {
        let held = answer(wait(connection.clone(), replicas))
            .await
            .unwrap_or_default();
        for waiter in waiters.drain(..) {
            // Who has given up is not told.
            let _ = waiter.send(held >= replicas);
        }
    }
}

async fn wait(mut connection: MultiplexedConnection, replicas: u32) -> RedisResult<u32> {
    let mut pipeline = redis::pipe();
    let milliseconds = |duration: Duration| duration.as_millis().to_string();
    pipeline
        .cmd("SET")
        .arg("hk:wait")
        .arg("")
        .arg("PX")
        .arg(milliseconds(WAIT))
        .ignore();
    pipeline.cmd("WAIT").arg(replicas).arg(milliseconds(WAIT));
    let (held,) = pipeline.query_async(&mut connection).await?;
    Ok(held)
}
