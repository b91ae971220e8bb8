//! Sealing: what is stored tells nobody anything, and cannot be moved, rolled back or kept alive unnoticed.
//!
//! A record is `v1 ‖ key id (8) ‖ nonce (12) ‖ AES-256-GCM-SIV(end of life (8) ‖ value) ‖ tag (16)`; what it is bound
//! to is in `docs/adr/0002-associated-data.md`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_domain::clock::{Clock, Timestamp};
use hubkey_protocol::trace::TRACE;
use tracing::{Instrument as _, Span};
use zeroize::Zeroizing;

use crate::{
    Action, Change, Expect, Key, Outcome, Purpose, Record, RetiredKey, Store, StoreError, Watch,
    keys::{DecryptionFailed, EncryptionKey, KeyId, KeyRing},
    length_prefixed,
    retired::Missed,
};

const VERSION: &[u8] = b"v1";
const HEADER: usize = VERSION.len() + KeyId::LEN + EncryptionKey::NONCE;
const END: usize = size_of::<u64>();

/// A backend counts the life of a record from when it was written, by its own clock, this decorator from when it was
/// sealed, by ours. So that an honest record is never refused in its last moment, the sealed end is a little later.
const LEEWAY: Duration = Duration::from_secs(5);

/// A store whose values are sealed above the store that it wraps.
#[derive(Debug)]
pub struct SealedStore<S> {
    inner: S,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    missed: Missed,
}

impl<S: Store> SealedStore<S> {
    /// Seals what goes into `inner`.
    pub fn new(inner: S, keys: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            keys,
            clock,
            missed: Missed::default(),
        }
    }

    /// Seals the changes of one commit, all with one key: what is written together can be read together later.
    fn seal_changes(&self, changes: Vec<Change>) -> Result<Vec<Change>, StoreError> {
        let active = self.keys.active();
        changes
            .into_iter()
            .map(|change| self.seal_change(&active, change))
            .collect()
    }

    fn seal_change(&self, active: &EncryptionKey, change: Change) -> Result<Change, StoreError> {
        let Change {
            key,
            expect,
            mut action,
        } = change;
        if let Action::Put {
            generation,
            value,
            ttl,
            ..
        } = &mut action
        {
            let end = self.clock.now().after(*ttl).after(LEEWAY);
            *value = seal(active, &key, *generation, end, value)
                .map_err(|DecryptionFailed| StoreError::DecryptionFailed)?;
        }
        Ok(Change {
            key,
            expect,
            action,
        })
    }

    async fn commit_sealed(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        let changes = self.seal_changes(changes)?;
        let span = span("store commit", changes.iter().map(|change| &change.key));
        self.inner.commit(changes).instrument(span).await
    }

    /// After a conflict: what stands where no record was expected may be one that counts as gone. It is replaced as it
    /// was found, so of concurrent commits still one is carried out.
    async fn commit_over_the_gone(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        let expected_none = changes.iter().filter(|change| may_be_over_the_gone(change));
        let keys: Vec<_> = expected_none.map(|change| change.key.clone()).collect();
        let mut gone = Vec::new();
        for (key, record) in keys.iter().zip(self.inner.read(&keys).await?) {
            let Some(record) = record else { continue };
            let named = named_key(&record.value);
            if named.is_none_or(|named| self.keys.find(named).is_some()) {
                return Ok(Outcome::Conflict);
            }
            gone.push((key, record.generation));
        }
        if gone.is_empty() {
            return Ok(Outcome::Conflict);
        }
        let over = |change: Change| match gone.iter().find(|(key, _)| **key == change.key) {
            Some((_, generation)) => change.in_place_of(*generation),
            None => change,
        };
        self.commit_sealed(changes.into_iter().map(over).collect())
            .await
    }

    async fn open_record(&self, key: &Key, sealed: Record) -> Result<Option<Record>, StoreError> {
        let (generation, purpose) = (sealed.generation, key.purpose());
        let named = named_key(&sealed.value).ok_or_else(|| failed(purpose))?;
        let Some(sealing) = self.keys.find(named) else {
            let retired = RetiredKey {
                key: named,
                purpose,
                generation,
            };
            return self.missed.judge(retired).map(|()| None);
        };
        let opened = open(&sealing, key, sealed, self.clock.now())
            .map_err(|DecryptionFailed| failed(purpose))?;
        let generation = self.resealed(key, generation, &opened).await;
        Ok(Some(Record {
            generation,
            value: opened.value,
        }))
    }

    /// Seals what an older key opened with the one that seals now, so that the older one can be taken out. It lives no
    /// longer by that. What goes wrong here is made good by the next read.
    async fn resealed(&self, key: &Key, generation: u64, opened: &Opened) -> u64 {
        let life = self.clock.now().until(opened.end).saturating_sub(LEEWAY);
        let due = opened.by != self.keys.active().id() && key.purpose().is_resealed_on_read();
        if !due || life.is_zero() {
            return generation;
        }
        let change = Change {
            key: key.clone(),
            expect: Expect::Generation(generation),
            action: Action::Put {
                generation: generation + 1,
                value: opened.value.clone(),
                ttl: life,
                wake: false,
            },
        };
        match self.commit_sealed(vec![change]).await {
            Ok(Outcome::Done) => generation + 1,
            Ok(Outcome::Conflict) | Err(_) => generation,
        }
    }
}

#[async_trait]
impl<S: Store> Store for SealedStore<S> {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let records = self
            .inner
            .read(keys)
            .instrument(span("store read", keys))
            .await?;
        let mut opened = Vec::with_capacity(records.len());
        for (key, record) in keys.iter().zip(records) {
            opened.push(match record {
                Some(sealed) => self.open_record(key, sealed).await?,
                None => None,
            });
        }
        Ok(opened)
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        let again = changes.iter().any(may_be_over_the_gone);
        let again = again.then(|| changes.clone());
        match (self.commit_sealed(changes).await?, again) {
            (Outcome::Conflict, Some(changes)) => self.commit_over_the_gone(changes).await,
            (outcome, _) => Ok(outcome),
        }
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.inner.watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    fn record_name(&self, key: &Key) -> Option<String> {
        self.inner.record_name(key)
    }
}

/// Whether a change may replace a record that counts as gone.
fn may_be_over_the_gone(change: &Change) -> bool {
    change.expect == Expect::Absent && change.key.purpose().is_gone_with_its_key()
}

/// A span for a step of the backend; it says what kinds of records the step is about.
fn span<'a>(name: &'static str, keys: impl IntoIterator<Item = &'a Key>) -> Span {
    tracing::info_span!(
        target: TRACE,
        "store",
        otel.name = name,
        otel.kind = "client",
        hubkey.records = purposes(keys),
    )
}

fn purposes<'a>(keys: impl IntoIterator<Item = &'a Key>) -> String {
    let purposes: Vec<_> = keys.into_iter().map(|key| key.purpose().as_str()).collect();
    purposes.join(",")
}

fn seal(
    active: &EncryptionKey,
    key: &Key,
    generation: u64,
    end: Timestamp,
    value: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptionFailed> {
    // One buffer of the final size: nothing is copied, so nothing stays behind in clear.
    let mut record = Zeroizing::new(Vec::with_capacity(
        HEADER + END + value.len() + EncryptionKey::TAG,
    ));
    record.resize(HEADER, 0);
    record.extend_from_slice(&end.as_millis().to_be_bytes());
    record.extend_from_slice(value);
    let associated = associated_data(key, generation, active.id());
    let (nonce, tag) = active.seal(&associated, &mut record[HEADER..])?;
    let header = [VERSION, active.id().as_bytes(), nonce.as_ref()].concat();
    record[..HEADER].copy_from_slice(&header);
    record.extend_from_slice(tag.as_ref());
    count("seal", active.id());
    Ok(record)
}

/// A record that was opened.
struct Opened {
    value: Zeroizing<Vec<u8>>,
    /// The public name of the key that sealed the record.
    by: KeyId,
    /// When it ends, with the leeway.
    end: Timestamp,
}

/// The key that a record names. Whether it is true shows when the record is opened.
fn named_key(sealed: &[u8]) -> Option<KeyId> {
    let rest = sealed.get(..HEADER)?.strip_prefix(VERSION)?;
    let (id, _) = rest.split_first_chunk()?;
    Some(KeyId::new(*id))
}

fn open(
    sealing: &EncryptionKey,
    key: &Key,
    mut sealed: Record,
    now: Timestamp,
) -> Result<Opened, DecryptionFailed> {
    let (header, body) = sealed
        .value
        .split_first_chunk_mut::<HEADER>()
        .ok_or(DecryptionFailed)?;
    let rest = header.strip_prefix(VERSION).ok_or(DecryptionFailed)?;
    let (_, nonce) = rest.split_at_checked(KeyId::LEN).ok_or(DecryptionFailed)?;
    let nonce = nonce.try_into().map_err(|_| DecryptionFailed)?;
    let by = sealing.id();
    let associated = associated_data(key, sealed.generation, by);
    let opened = sealing.open(nonce, &associated, body)?;
    let (end, value) = opened.split_first_chunk::<END>().ok_or(DecryptionFailed)?;
    let end = Timestamp::from_millis(u64::from_be_bytes(*end));
    if end <= now {
        return Err(DecryptionFailed);
    }
    count("open", by);
    Ok(Opened {
        value: Zeroizing::new(value.to_vec()),
        by,
        end,
    })
}

/// What a value is bound to: anything else in its place does not open.
fn associated_data(key: &Key, generation: u64, id: KeyId) -> Vec<u8> {
    length_prefixed(&[
        VERSION,
        key.purpose().as_str().as_bytes(),
        id.as_bytes(),
        key.aggregate(),
        key.id(),
        &generation.to_be_bytes(),
    ])
}

fn count(operation: &'static str, id: KeyId) {
    metrics::counter!("hubkey_encryption_key_operations_total", "operation" => operation, "key_id" => id.to_string())
        .increment(1);
}

fn failed(purpose: Purpose) -> StoreError {
    metrics::counter!("hubkey_store_decryption_failures_total", "purpose" => purpose.as_str())
        .increment(1);
    StoreError::DecryptionFailed
}
