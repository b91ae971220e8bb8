//! Wake-ups from Redis: one subscription for all who wait in this process.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{
    Client,
    aio::{PubSub, PubSubSink, PubSubStream},
};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{PATIENCE, RedisOpenError, START_PATIENCE, answer_within, names::CHANNEL};
use crate::store::{StoreError, Watch, watchers::Watchers};

/// How long a lost subscription rests before the next attempt.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a silent subscription is asked whether it is still there.
const CHECK: Duration = Duration::from_secs(2);

/// Who waits, and the task that wakes them.
#[derive(Debug)]
pub(super) struct WakeUps {
    watchers: Arc<Watchers<String>>,
    _task: AbortOnDropHandle<()>,
}

impl WakeUps {
    /// Subscribes, and stays subscribed until dropped.
    pub(super) async fn subscribe(client: Client) -> Result<Self, RedisOpenError> {
        let first = subscribe(&client, START_PATIENCE)
            .await
            .map_err(|error| RedisOpenError::Unreachable(error.into()))?;
        let watchers = Arc::new(Watchers::default());
        let task = tokio::spawn(stay_subscribed(client, first, Arc::clone(&watchers)));
        Ok(Self {
            watchers,
            _task: AbortOnDropHandle::new(task),
        })
    }

    pub(super) fn watch(&self, name: String) -> Watch {
        self.watchers.watch(name)
    }
}

async fn stay_subscribed(client: Client, first: PubSub, watchers: Arc<Watchers<String>>) {
    let mut subscription = first;
    loop {
        let (sink, stream) = subscription.split();
        tokio::select! {
            () = deliver(stream, &watchers) => {}
            () = until_silent(sink) => {}
        }
        tracing::warn!("the subscription to wake-ups was lost");
        subscription = resubscribe(&client).await;
        // What was published in between is lost, so everybody looks again.
        watchers.wake_all();
        tracing::info!("the subscription to wake-ups is back");
    }
}

async fn resubscribe(client: &Client) -> PubSub {
    loop {
        sleep(PAUSE).await;
        if let Ok(subscription) = subscribe(client, PATIENCE).await {
            return subscription;
        }
    }
}

async fn subscribe(client: &Client, patience: Duration) -> Result<PubSub, StoreError> {
    answer_within(patience, async {
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(CHANNEL).await?;
        Ok(subscription)
    })
    .await
}

async fn deliver(mut stream: PubSubStream, watchers: &Watchers<String>) {
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
