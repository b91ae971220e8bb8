//! Local fan-out of wake-ups: who waits for which key, in this process.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::Watch;

/// Nothing is ever sent: a waiter ends when the sender of its key is dropped.
type Senders<K> = HashMap<K, watch::Sender<()>>;

/// The waiting ones, by key. Costs one map entry for each key that somebody waits for, and nothing otherwise.
pub(crate) struct LocalNotify<K> {
    senders: Arc<Mutex<Senders<K>>>,
}

impl<K: Clone + Eq + Hash + Send + 'static> LocalNotify<K> {
    /// Waits for the next wake-up of `key`, beginning now.
    pub(crate) fn watch(&self, key: K) -> Watch {
        let receiver = self
            .lock()
            .entry(key.clone())
            .or_insert_with(|| watch::Sender::new(()))
            .subscribe();
        let mut waiting = Waiting {
            receiver: Some(receiver),
            key,
            senders: Arc::clone(&self.senders),
        };
        Box::pin(async move { waiting.ended().await })
    }

    /// Ends every watch of `key` that was taken before.
    pub(crate) fn wake(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Ends every watch: for when messages may have been lost.
    pub(crate) fn wake_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Senders<K>> {
        lock(&self.senders)
    }
}

impl<K> Default for LocalNotify<K> {
    fn default() -> Self {
        Self {
            senders: Arc::default(),
        }
    }
}

impl<K> fmt::Debug for LocalNotify<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNotify")
            .field("keys", &lock(&self.senders).len())
            .finish()
    }
}

struct Waiting<K: Eq + Hash> {
    receiver: Option<watch::Receiver<()>>,
    key: K,
    senders: Arc<Mutex<Senders<K>>>,
}

impl<K: Eq + Hash> Waiting<K> {
    async fn ended(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The error says that the sender is gone, which is the wake-up.
            let _ = receiver.changed().await;
        }
    }
}

/// A waiter that gives up leaves nothing behind.
impl<K: Eq + Hash> Drop for Waiting<K> {
    fn drop(&mut self) {
        self.receiver = None;
        let mut senders = lock(&self.senders);
        if let Some(sender) = senders.get(&self.key)
            && sender.receiver_count() == 0
        {
            senders.remove(&self.key);
        }
    }
}

/// The map is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_that_is_given_up_leaves_nothing() {
        let watchers = LocalNotify::default();
        let first = watchers.watch(1);
        let second = watchers.watch(1);
        drop(first);
        assert_eq!(watchers.lock().len(), 1);
        watchers.wake(&1);
        let third = watchers.watch(1);
        second.await;
        assert_eq!(watchers.lock().len(), 1, "the third still waits");
        drop(third);
        assert_eq!(watchers.lock().len(), 0);
    }

    #[tokio::test]
    async fn wake_all_ends_every_watch() {
        let watchers = LocalNotify::default();
        let both = [watchers.watch(1), watchers.watch(2)];
        watchers.wake_all();
        futures_util::future::join_all(both).await;
    }
}
