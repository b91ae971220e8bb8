//! Sealing: what is stored tells nobody anything, and cannot be moved, rolled back or kept alive unnoticed.
//!
//! A record is `v1 ‖ key id (8) ‖ nonce (12) ‖ AES-256-GCM-SIV(end of life (8) ‖ value) ‖ tag (16)`; what it is bound
//! to is in `docs/adr/0002-associated-data.md`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_service::telemetry::TRACE;
use tracing::{Instrument as _, Span};
use zeroize::Zeroizing;

use super::{
    Action, Change, Key, Outcome, Purpose, Record, Store, StoreError, Watch, length_prefixed,
};
use crate::{
    domain::clock::{Clock, Timestamp},
    keys::{KeyId, KeyRing, SealingKey, Unopened},
};

const VERSION: &[u8] = b"v1";
const HEADER: usize = VERSION.len() + KeyId::LEN + SealingKey::NONCE;
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
}

impl<S: Store> SealedStore<S> {
    /// Seals what goes into `inner`.
    pub fn new(inner: S, keys: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, keys, clock }
    }

    fn seal_change(&self, change: Change) -> Result<Change, StoreError> {
        let Change {
            key,
            expect,
            action,
        } = change;
        let action = match action {
            Action::Put {
                generation,
                value,
                ttl,
                wake,
            } => {
                let end = self.clock.now().after(ttl).after(LEEWAY);
                let value = seal(&self.keys, &key, generation, end, &value)
                    .map_err(|Unopened| StoreError::Unsealable)?;
                Action::Put {
                    generation,
                    value,
                    ttl,
                    wake,
                }
            }
            Action::Delete => Action::Delete,
            Action::Keep => Action::Keep,
        };
        Ok(Change {
            key,
            expect,
            action,
        })
    }

    fn open_record(&self, key: &Key, sealed: Record) -> Result<Record, StoreError> {
        let generation = sealed.generation;
        open(&self.keys, key, sealed, self.clock.now())
            .map(|value| Record { generation, value })
            .map_err(|Unopened| failed(key.purpose()))
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
        keys.iter()
            .zip(records)
            .map(|(key, record)| {
                record
                    .map(|sealed| self.open_record(key, sealed))
                    .transpose()
            })
            .collect()
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        let changes = changes
            .into_iter()
            .map(|change| self.seal_change(change))
            .collect::<Result<Vec<_>, _>>()?;
        let span = span("store commit", changes.iter().map(|change| &change.key));
        self.inner.commit(changes).instrument(span).await
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        self.inner.watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
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
    keys: &KeyRing,
    key: &Key,
    generation: u64,
    end: Timestamp,
    value: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let active = keys.active();
    // One buffer of the final size: nothing is copied, so nothing stays behind in clear.
    let mut record = Zeroizing::new(Vec::with_capacity(
        HEADER + END + value.len() + SealingKey::TAG,
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

fn open(
    keys: &KeyRing,
    key: &Key,
    mut sealed: Record,
    now: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let (header, body) = sealed
        .value
        .split_first_chunk_mut::<HEADER>()
        .ok_or(Unopened)?;
    let rest = header.strip_prefix(VERSION).ok_or(Unopened)?;
    let (id, nonce) = rest.split_first_chunk().ok_or(Unopened)?;
    let nonce = nonce.try_into().map_err(|_| Unopened)?;
    let id = KeyId::new(*id);
    let sealing = keys.find(id).ok_or(Unopened)?;
    let associated = associated_data(key, sealed.generation, id);
    let opened = sealing.open(nonce, &associated, body)?;
    let (end, value) = opened.split_first_chunk::<END>().ok_or(Unopened)?;
    if Timestamp::from_millis(u64::from_be_bytes(*end)) <= now {
        return Err(Unopened);
    }
    count("open", id);
    Ok(Zeroizing::new(value.to_vec()))
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
    metrics::counter!("hubkey_sealing_key_used_total", "operation" => operation, "key_id" => id.to_string())
        .increment(1);
}

fn failed(purpose: Purpose) -> StoreError {
    metrics::counter!("hubkey_aead_failures_total", "purpose" => purpose.as_str()).increment(1);
    StoreError::Unsealable
}
