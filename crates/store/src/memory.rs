//! The store of one process: for the laptop, for tests, and for a broker that may forget.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hubkey_domain::clock::{Clock, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Action, Change, Expect, Key, Outcome, Record, Store, StoreError, Watch,
    local_notify::LocalNotify, validate,
};

/// How many dead records one commit clears away: more than it can add, and never a long pause.
const SWEEP: usize = 64;

/// Records in memory, expiring by the given clock.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    records: Mutex<Records>,
    watchers: LocalNotify<Key>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            records: Mutex::default(),
            watchers: LocalNotify::default(),
        }
    }

    /// How many records it holds, dead ones that were not yet cleared away included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether it holds no record at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The maps are whole between any two statements, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        validate::one_aggregate(keys.iter())?;
        let now = self.clock.now();
        let records = self.lock();
        Ok(keys
            .iter()
            .map(|key| records.get(key, now).map(Entry::record))
            .collect())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        validate::changes(&changes)?;
        let now = self.clock.now();
        let woken = {
            let mut records = self.lock();
            records.sweep(now);
            if !changes.iter().all(|change| records.is(change, now)) {
                return Ok(Outcome::Conflict);
            }
            let apply = |change| records.apply(change, now);
            changes.into_iter().filter_map(apply).collect::<Vec<_>>()
        };
        for key in &woken {
            self.watchers.wake(key);
        }
        Ok(Outcome::Done)
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        Ok(self.watchers.watch(key.clone()))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Records {
    entries: HashMap<Key, Entry>,
    /// By the time of their end; the number tells apart those that end at once.
    ends: BTreeMap<(Timestamp, u64), Key>,
    count: u64,
}

struct Entry {
    generation: u64,
    value: Zeroizing<Vec<u8>>,
    end: (Timestamp, u64),
}

impl Entry {
    fn record(&self) -> Record {
        Record {
            generation: self.generation,
            value: self.value.clone(),
        }
    }
}

impl Records {
    fn get(&self, key: &Key, now: Timestamp) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| now < entry.end.0)
    }

    fn is(&self, change: &Change, now: Timestamp) -> bool {
        let generation = self.get(&change.key, now).map(|entry| entry.generation);
        match change.expect {
            Expect::Absent => generation.is_none(),
            Expect::Generation(expected) => generation == Some(expected),
        }
    }

    /// Carries out one change whose expectation holds; gives the key to wake.
    fn apply(&mut self, change: Change, now: Timestamp) -> Option<Key> {
        let Change { key, action, .. } = change;
        match action {
            Action::Put {
                generation,
                value,
                ttl,
                wake,
            } => {
                let woken = wake.then(|| key.clone());
                self.put(key, generation, value, now.after(ttl));
                woken
            }
            Action::Delete => {
                self.remove(&key);
                None
            }
            Action::Keep => None,
        }
    }

    fn put(&mut self, key: Key, generation: u64, value: Zeroizing<Vec<u8>>, end: Timestamp) {
        self.remove(&key);
        self.count += 1;
        let end = (end, self.count);
        self.ends.insert(end, key.clone());
        let entry = Entry {
            generation,
            value,
            end,
        };
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.ends.remove(&entry.end);
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.ends.first_key_value() {
                Some((end, _)) if end.0 <= now => self.ends.pop_first(),
                _ => return,
            }
            .map(|(_, key)| self.entries.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hubkey_domain::clock::TestClock;
    use hubkey_protocol::{ConnectionId, ShortId};

    use super::*;

    #[tokio::test]
    async fn dead_records_are_cleared_away_by_later_commits() {
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(0)));
        let store = MemoryStore::new(clock.clone());
        let short = ShortId::from_random([1; 8]);
        for n in 0..100 {
            let key = Key::connection(&ConnectionId::from_random(&short, [n; 16]));
            assert_eq!(put(&store, key).await, Outcome::Done);
        }
        assert_eq!(store.len(), 100);
        clock.advance(Duration::from_secs(1));
        for n in 100..102 {
            let key = Key::connection(&ConnectionId::from_random(&short, [n; 16]));
            assert_eq!(put(&store, key).await, Outcome::Done);
        }
        assert_eq!(store.len(), 2);
    }

    async fn put(store: &MemoryStore, key: Key) -> Outcome {
        let action = Action::Put {
            generation: 1,
            value: Zeroizing::new(vec![1]),
            ttl: Duration::from_secs(1),
            wake: false,
        };
        let change = Change {
            key,
            expect: Expect::Absent,
            action,
        };
        store.commit(vec![change]).await.unwrap()
    }
}
