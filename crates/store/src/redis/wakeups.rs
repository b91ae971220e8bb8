//! Wake-ups from Redis: one subscription for all who wait in this process.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    error::RedisOpenError,
    names::CHANNEL,
    node::Node,
    patience::{PATIENCE, START_PATIENCE, answer_within, unavailable},
    supervisor::{Current, Nodes, Supervisor},
};
use crate::{StoreError, Watch, local_notify::LocalNotify};

/// How long a lost subscription rests before the next attempt.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a silent subscription is asked whether it is still there.
const CHECK: Duration = Duration::from_secs(2);

/// Who waits, and the task that wakes them.
#[derive(Debug)]
pub(super) struct WakeUps {
    watchers: Arc<LocalNotify<String>>,
    _task: AbortOnDropHandle<()>,
}

impl WakeUps {
    /// Subscribes, and stays subscribed until dropped.
    pub(super) async fn subscribe(supervisor: &Supervisor) -> Result<Self, RedisOpenError> {
        let mut nodes = supervisor.nodes();
        let first = async {
            let node = nodes.current().await?;
            subscribe(&node, START_PATIENCE).await
        };
        let first = first
            .await
            .map_err(|error| RedisOpenError::Unreachable(error.into()))?;
        let watchers = Arc::new(LocalNotify::default());
        let listener = Listener {
            nodes,
            doubt: Arc::clone(supervisor.doubt()),
            watchers: Arc::clone(&watchers),
        };
        let task = tokio::spawn(listener.listen(first));
        Ok(Self {
            watchers,
            _task: AbortOnDropHandle::new(task),
        })
    }

    pub(super) fn watch(&self, name: String) -> Watch {
        self.watchers.watch(name)
    }
}

/// Who is subscribed at the node in use.
struct Listener {
    nodes: Nodes,
    doubt: Arc<Notify>,
    watchers: Arc<LocalNotify<String>>,
}

impl Listener {
    async fn listen(mut self, first: PubSub) {
        let mut subscription = first;
        loop {
            let (sink, stream) = subscription.split();
            tokio::select! {
                () = deliver(stream, &self.watchers) => {}
                () = until_silent(sink) => {}
                _ = self.nodes.changed() => {}
            }
            tracing::warn!("the subscription to wake-ups was lost");
            self.doubt.notify_one();
            subscription = self.resubscribe().await;
            // What was published in between is lost, so everybody looks again.
            self.watchers.wake_all();
            tracing::info!("the subscription to wake-ups is back");
        }
    }

    async fn resubscribe(&mut self) -> PubSub {
        loop {
            if let Ok(node) = self.nodes.current().await
                && let Ok(subscription) = subscribe(&node, PATIENCE).await
            {
                return subscription;
            }
            self.doubt.notify_one();
            sleep(PAUSE).await;
        }
    }
}

/// At the first of the node's servers that answers.
async fn subscribe(node: &Node, patience: Duration) -> Result<PubSub, StoreError> {
    let mut result = Err(unavailable(Nowhere));
    for client in &node.clients {
        result = answer_within(patience, async {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.subscribe(CHANNEL).await?;
            Ok(subscription)
        })
        .await;
        if result.is_ok() {
            break;
        }
    }
    result
}

#[derive(Debug, thiserror::Error)]
#[error("there is no server to subscribe at")]
struct Nowhere;

async fn deliver(mut stream: PubSubStream, watchers: &LocalNotify<String>) {
    while let Some(message) = stream.next().await {
        if let Ok(name) = message.get_payload() {
            watchers.wake(&name);
        }
    }
}

/// Ends when the peer no longer answers, which a connection that only listens would never notice.
async fn until_silent(mut sink: PubSubSink) {
    loop {
        sleep(CHECK).await;
        let answer = timeout(PATIENCE, sink.ping::<redis::Value>()).await;
        if !matches!(answer, Ok(Ok(_))) {
            return;
        }
    }
}
