//! Typed access: a purpose has one Rust type, and its values travel as JSON in memory that is wiped.

use std::{future::Future, io, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{Action, Change, Expect, Key, Outcome, Purpose, Record, Store, StoreError};

/// What is stored under one purpose.
pub trait Stored: Serialize + DeserializeOwned {
    /// Under which.
    const PURPOSE: Purpose;
}

/// A value that was read, and what a change of it has to expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// The generation of the record: it grows with each change.
    pub generation: u64,
}

impl<T: Stored> Loaded<T> {
    /// Reads the value of a record of `T`'s purpose.
    pub(crate) fn from_record(record: &Record) -> Result<Self, StoreError> {
        // The cause is dropped on purpose: serde's messages quote what they did not expect.
        let value = serde_json::from_slice(&record.value).map_err(|_| StoreError::Malformed)?;
        Ok(Self {
            value,
            generation: record.generation,
        })
    }
}

impl<T> Loaded<T> {
    /// Changes the value; a commit still expects what was read.
    pub fn try_map<E>(self, change: impl FnOnce(T) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            value: change(self.value)?,
            generation: self.generation,
        })
    }

    /// The value after its change was committed.
    #[must_use]
    pub fn committed(self) -> Self {
        self.committed_skipping(0)
    }

    /// The value after a change was committed that skipped so many generations.
    #[must_use]
    pub fn committed_skipping(self, generations: u64) -> Self {
        Self {
            value: self.value,
            generation: self.generation + 1 + generations,
        }
    }

    /// What was found, or the beginning of it, and what a change of it has to expect.
    #[must_use]
    pub fn or_new(found: Found<T>) -> (T, Expect)
    where
        T: Default,
    {
        let expect = Self::expect_of(found.as_ref());
        (found.map(|loaded| loaded.value).unwrap_or_default(), expect)
    }

    /// That the record, where there is one, is still as it was read.
    #[must_use]
    pub fn expect_of(found: Option<&Self>) -> Expect {
        found.map_or(Expect::Absent, Self::expect)
    }

    /// That the record is still as it was read.
    #[must_use]
    pub fn expect(&self) -> Expect {
        Expect::Generation(self.generation)
    }
}

/// A value, where there is one.
pub type Found<T> = Option<Loaded<T>>;

/// Typed reading, for every store.
pub trait TypedStore: Store {
    /// Reads one value.
    fn load<T: Stored + Send>(
        &self,
        key: &Key,
    ) -> impl Future<Output = Result<Found<T>, StoreError>> + Send {
        async move {
            check::<T>(key)?;
            let records = self.read(std::slice::from_ref(key)).await?;
            decode(records.first().and_then(Option::as_ref))
        }
    }

    /// Reads two values of one aggregate at one instant, in one round trip.
    fn load_pair<A: Stored + Send, B: Stored + Send>(
        &self,
        first: &Key,
        second: &Key,
    ) -> impl Future<Output = Result<(Found<A>, Found<B>), StoreError>> + Send {
        async move {
            check::<A>(first)?;
            check::<B>(second)?;
            let records = self.read(&[first.clone(), second.clone()]).await?;
            let record = |at| records.get(at).and_then(Option::as_ref);
            Ok((decode(record(0))?, decode(record(1))?))
        }
    }

    /// Changes a record that others change too: `put` is asked again, with what is there by then, after each conflict, at
    /// most `tries` times in all. [`Outcome::Conflict`] where that was not enough.
    fn amend<T: Stored + Send>(
        &self,
        key: &Key,
        tries: usize,
        mut put: impl FnMut(Found<T>) -> Result<Change, StoreError> + Send,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send {
        async move {
            for _ in 0..tries {
                let change = put(self.load(key).await?)?;
                if self.commit(vec![change]).await? == Outcome::Done {
                    return Ok(Outcome::Done);
                }
            }
            Ok(Outcome::Conflict)
        }
    }
}

impl<S: Store + ?Sized> TypedStore for S {}

impl Change {
    /// Writes `value`.
    pub fn put<T: Stored>(
        key: Key,
        expect: Expect,
        value: &T,
        ttl: Duration,
    ) -> Result<Self, StoreError> {
        check::<T>(&key)?;
        let mut writer = WipingWriter::default();
        serde_json::to_writer(&mut writer, value).map_err(|_| StoreError::Malformed)?;
        let action = Action::Put {
            generation: expect.next(),
            value: writer.0,
            ttl,
            wake: false,
        };
        Ok(Self {
            key,
            expect,
            action,
        })
    }

    /// Removes the record of this generation.
    #[must_use]
    pub fn delete(key: Key, generation: u64) -> Self {
        Self {
            key,
            expect: Expect::Generation(generation),
            action: Action::Delete,
        }
    }

    /// Only asks that the record is as expected.
    #[must_use]
    pub fn keep(key: Key, expect: Expect) -> Self {
        Self {
            key,
            expect,
            action: Action::Keep,
        }
    }

    /// Skips so many generations, so that another who replaces the same record leaves another generation: they tell the
    /// two apart even where a failover of the store has lost one of them.
    #[must_use]
    pub fn skipping(mut self, generations: u64) -> Self {
        if let Action::Put { generation, .. } = &mut self.action {
            *generation += generations;
        }
        self
    }

    /// As it is where a record of this generation stands in the place of none.
    #[must_use]
    pub(crate) fn in_place_of(mut self, generation: u64) -> Self {
        self.expect = Expect::Generation(generation);
        self.skipping(generation)
    }

    /// Also ends the watches of the key of a put.
    #[must_use]
    pub fn waking(mut self) -> Self {
        if let Action::Put { wake, .. } = &mut self.action {
            *wake = true;
        }
        self
    }
}

fn decode<T: Stored>(record: Option<&Record>) -> Result<Found<T>, StoreError> {
    record.map(Loaded::from_record).transpose()
}

fn check<T: Stored>(key: &Key) -> Result<(), StoreError> {
    if key.purpose() == T::PURPOSE {
        Ok(())
    } else {
        Err(StoreError::Malformed)
    }
}

/// Grows by copying and wiping: `Vec` would leave its old buffers, secrets included, to the allocator.
#[derive(Default)]
struct WipingWriter(Zeroizing<Vec<u8>>);

impl io::Write for WipingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let capacity = needed.max(2 * self.0.capacity()).max(512);
            let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hubkey_domain::clock::{TestClock, Timestamp};
    use hubkey_protocol::{ConnectionId, ShortId};
    use serde::Deserialize;

    use super::*;
    use crate::{Outcome, memory::MemoryStore};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Stored for Note {
        const PURPOSE: Purpose = Purpose::Connection;
    }

    #[tokio::test]
    async fn a_value_is_written_read_and_replaced() {
        let store = MemoryStore::new(Arc::new(TestClock::at(Timestamp::from_millis(0))));
        let key = key();
        assert_eq!(store.load::<Note>(&key).await.unwrap(), None);
        let mut expect = Expect::Absent;
        for length in [10, 10_000] {
            let note = Note {
                text: "x".repeat(length),
            };
            let put = Change::put(key.clone(), expect, &note, Duration::from_secs(1)).unwrap();
            assert_eq!(
                store.commit(vec![put.waking()]).await.unwrap(),
                Outcome::Done
            );
            let loaded = store.load::<Note>(&key).await.unwrap().unwrap();
            assert_eq!(loaded.value, note);
            expect = loaded.expect();
        }
        assert_eq!(expect, Expect::Generation(2));
        let delete = Change::delete(key.clone(), 2);
        assert_eq!(store.commit(vec![delete]).await.unwrap(), Outcome::Done);
        assert_eq!(store.load::<Note>(&key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_value_of_another_form_or_purpose_is_an_error() {
        let store = MemoryStore::new(Arc::new(TestClock::at(Timestamp::from_millis(0))));
        let action = Action::Put {
            generation: 1,
            value: Zeroizing::new(b"{}".to_vec()),
            ttl: Duration::from_secs(1),
            wake: false,
        };
        let change = Change {
            key: key(),
            expect: Expect::Absent,
            action,
        };
        assert_eq!(store.commit(vec![change]).await.unwrap(), Outcome::Done);
        let read = store.load::<Note>(&key()).await;
        assert!(matches!(read, Err(StoreError::Malformed)), "{read:?}");
        let index = Key::owner("https://issuer.example", "subject");
        let read = store.load::<Note>(&index).await;
        assert!(matches!(read, Err(StoreError::Malformed)), "{read:?}");
    }

    fn key() -> Key {
        let short = ShortId::from_random([1; 8]);
        Key::connection(&ConnectionId::from_random(&short, [2; 16]))
    }
}
