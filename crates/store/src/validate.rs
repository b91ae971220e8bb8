//! What every backend refuses before it does anything, so that the one in memory allows no more than Redis.

use crate::{Change, Key, StoreError};

/// A mistake of the caller, found before anything was done.
#[derive(Debug, thiserror::Error)]
enum Misuse {
    #[error("the keys of one operation belong to one aggregate")]
    SeveralAggregates,
    #[error("one commit changes a record once")]
    ChangedTwice,
}

/// Refuses keys of more than one aggregate.
pub(crate) fn one_aggregate<'a>(mut keys: impl Iterator<Item = &'a Key>) -> Result<(), StoreError> {
    let Some(first) = keys.next() else {
        return Ok(());
    };
    if keys.all(|key| key.aggregate() == first.aggregate()) {
        Ok(())
    } else {
        Err(StoreError::Unavailable(Misuse::SeveralAggregates.into()))
    }
}

/// Refuses a commit over several aggregates, or with two changes of one record.
pub(crate) fn changes(changes: &[Change]) -> Result<(), StoreError> {
    one_aggregate(changes.iter().map(|change| &change.key))?;
    let twice = changes
        .iter()
        .enumerate()
        .any(|(at, change)| changes[..at].iter().any(|other| other.key == change.key));
    if twice {
        return Err(StoreError::Unavailable(Misuse::ChangedTwice.into()));
    }
    Ok(())
}
