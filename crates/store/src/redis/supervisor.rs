//! The node in use, and the task that replaces it when it is lost, no master any more, or no longer named.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    error::RedisOpenError,
    node::Node,
    patience::{PATIENCE, START_PATIENCE, unavailable},
    resolver::Resolver,
};
use crate::StoreError;

/// How often a node that nobody complains of is looked at.
const CHECK: Duration = Duration::from_secs(1);
/// How often a node is looked at that everybody complains of.
const PAUSE: Duration = Duration::from_millis(100);
/// The first pause between two attempts to find a node; it doubles up to [`MAX_DELAY`].
const MIN_DELAY: Duration = Duration::from_millis(50);
/// The longest pause between two attempts to find a node.
const MAX_DELAY: Duration = Duration::from_millis(400);

/// The node in use, while there is one.
pub(super) type Nodes = watch::Receiver<Option<Arc<Node>>>;

/// The way to the server that takes writes.
#[derive(Debug)]
pub(super) struct Supervisor {
    nodes: Nodes,
    doubt: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Supervisor {
    /// Finds the first node, and stays at the right one until dropped.
    pub(super) async fn open(resolver: Resolver) -> Result<Self, RedisOpenError> {
        let first = Arc::new(resolver.open(START_PATIENCE).await?);
        let (sender, nodes) = watch::channel(Some(first));
        let doubt = Arc::new(Notify::new());
        let task = tokio::spawn(keep(resolver, sender, Arc::clone(&doubt)));
        Ok(Self {
            nodes,
            doubt,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// The node in use; waits while there is none.
    pub(super) async fn node(&self) -> Result<Arc<Node>, StoreError> {
        self.nodes.clone().current().await
    }

    /// The nodes, one after the other.
    pub(super) fn nodes(&self) -> Nodes {
        self.nodes.clone()
    }

    /// Says that something went wrong: the node is looked at soon.
    pub(super) fn doubt(&self) -> &Arc<Notify> {
        &self.doubt
    }
}

/// Waiting for the node in use.
pub(super) trait Current {
    /// The node in use; waits while there is none.
    async fn current(&mut self) -> Result<Arc<Node>, StoreError>;
}

impl Current for Nodes {
    async fn current(&mut self) -> Result<Arc<Node>, StoreError> {
        let node = self.wait_for(Option::is_some).await.map_err(unavailable)?;
        node.clone().ok_or_else(|| unavailable(NoNode))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is no connection to Redis")]
struct NoNode;

async fn keep(resolver: Resolver, nodes: watch::Sender<Option<Arc<Node>>>, doubt: Arc<Notify>) {
    loop {
        let node = nodes.borrow().clone();
        if let Some(node) = node {
            until_bad(&resolver, &node, &doubt).await;
            tracing::warn!(address = ?node.address, "the connection to Redis was lost");
        }
        nodes.send_replace(None);
        let node = find(&resolver).await;
        tracing::info!(address = ?node.address, "the connection to Redis is back");
        nodes.send_replace(Some(Arc::new(node)));
    }
}

async fn until_bad(resolver: &Resolver, node: &Node, doubt: &Notify) {
    loop {
        tokio::select! {
            () = doubt.notified() => {}
            () = sleep(jittered(CHECK)) => {}
        }
        if !resolver.holds(node).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn find(resolver: &Resolver) -> Node {
    let mut delay = MIN_DELAY;
    let mut told = String::new();
    loop {
        match resolver.open(PATIENCE).await {
            Ok(node) => return node,
            Err(error) => told = log_once(&error, &told),
        }
        sleep(jittered(delay)).await;
        delay = MAX_DELAY.min(delay * 2);
    }
}

/// Each reason is told once, so that an outage does not fill the log.
fn log_once(error: &RedisOpenError, told: &str) -> String {
    let reason = error.to_string();
    if reason != told {
        tracing::warn!(%reason, "there is no Redis to use");
    }
    reason
}

/// Between a half and the whole, so that replicas do not all come at once.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}
