//! A document of a provider that is read often and fetched seldom, by one caller at a time.

use std::{
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hubkey_domain::clock::Timestamp;
use tokio::sync::Mutex;

use crate::IdpError;

/// How long a document outlives its provider's silence.
const STALE: Duration = Duration::from_hours(24);
/// How long a stale document is served before the provider is asked again.
const PAUSE: Duration = Duration::from_mins(1);

/// The document, and how the last attempt to fetch it ended.
#[derive(Debug)]
pub(crate) struct CachedDocument<T> {
    slot: RwLock<Slot<T>>,
    turn: Mutex<()>,
    /// After which failures the old document still serves.
    tolerated: fn(IdpError) -> bool,
}

#[derive(Debug)]
struct Slot<T> {
    cached: Option<Cached<T>>,
    attempts: Attempts,
    failure: Option<IdpError>,
}

#[derive(Debug)]
struct Cached<T> {
    value: Arc<T>,
    fetched: Timestamp,
    fresh_until: Timestamp,
}

/// How many attempts had been made when somebody looked. Who waited for an attempt of another takes its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempts(u64);

impl<T> CachedDocument<T> {
    pub(crate) fn new(tolerated: fn(IdpError) -> bool) -> Self {
        Self {
            slot: RwLock::new(Slot {
                cached: None,
                attempts: Attempts(0),
                failure: None,
            }),
            turn: Mutex::new(()),
            tolerated,
        }
    }

    /// The document if it is fresh, else a new one, else the old one where that is tolerated.
    pub(crate) async fn fresh<F>(&self, now: Timestamp, fetch: F) -> Result<Arc<T>, IdpError>
    where
        F: Future<Output = Result<(T, Duration), IdpError>>,
    {
        let (seen, cached) = self.look(now);
        if let Some(value) = cached {
            return Ok(value);
        }
        match self.renew(seen, now, fetch).await {
            Err(failure) if (self.tolerated)(failure) => self.stale(now).ok_or(failure),
            result => result,
        }
    }

    /// How many attempts there were, and the document if it is fresh.
    pub(crate) fn look(&self, now: Timestamp) -> (Attempts, Option<Arc<T>>) {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = slot
            .cached
            .as_ref()
            .filter(|cached| cached.fetched <= now && now < cached.fresh_until);
        (slot.attempts, fresh.map(|cached| Arc::clone(&cached.value)))
    }

    /// How the last attempt ended; absent where there was none.
    pub(crate) fn outcome(&self) -> Option<Result<(), IdpError>> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        (slot.attempts != Attempts(0)).then(|| slot.failure.map_or(Ok(()), Err))
    }

    /// Fetches, unless somebody has since `seen`: then that is the result. Absent where it is not `permitted`.
    pub(crate) async fn renew_if<F>(
        &self,
        seen: Attempts,
        now: Timestamp,
        permitted: impl FnOnce() -> bool,
        fetch: F,
    ) -> Option<Result<Arc<T>, IdpError>>
    where
        F: Future<Output = Result<(T, Duration), IdpError>>,
    {
        let _turn = self.turn.lock().await;
        let done = self.since(seen);
        if done.is_some() || !permitted() {
            return done;
        }
        Some(self.store(now, fetch.await))
    }

    async fn renew<F>(&self, seen: Attempts, now: Timestamp, fetch: F) -> Result<Arc<T>, IdpError>
    where
        F: Future<Output = Result<(T, Duration), IdpError>>,
    {
        let _turn = self.turn.lock().await;
        match self.since(seen) {
            Some(result) => result,
            None => self.store(now, fetch.await),
        }
    }

    fn store(
        &self,
        now: Timestamp,
        fetched: Result<(T, Duration), IdpError>,
    ) -> Result<Arc<T>, IdpError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.attempts = Attempts(slot.attempts.0.wrapping_add(1));
        slot.failure = fetched.as_ref().err().copied();
        let (value, lifetime) = fetched?;
        let value = Arc::new(value);
        slot.cached = Some(Cached {
            value: Arc::clone(&value),
            fetched: now,
            fresh_until: now.after(lifetime),
        });
        Ok(value)
    }

    fn since(&self, seen: Attempts) -> Option<Result<Arc<T>, IdpError>> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        if slot.attempts == seen {
            return None;
        }
        match (slot.failure, &slot.cached) {
            (Some(failure), _) => Some(Err(failure)),
            (None, Some(cached)) => Some(Ok(Arc::clone(&cached.value))),
            (None, None) => None,
        }
    }

    fn stale(&self, now: Timestamp) -> Option<Arc<T>> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        let cached = slot.cached.as_mut()?;
        if now >= cached.fetched.after(STALE) {
            return None;
        }
        cached.fresh_until = now.after(PAUSE);
        Some(Arc::clone(&cached.value))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use hubkey_protocol::provider_rules::ProviderRule;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn tolerant() -> CachedDocument<u32> {
        CachedDocument::new(|failure| failure == IdpError::Unavailable)
    }

    fn value(value: u32) -> Ready<Result<(u32, Duration), IdpError>> {
        ready(Ok((value, HOUR)))
    }

    fn fault(error: IdpError) -> Ready<Result<(u32, Duration), IdpError>> {
        ready(Err(error))
    }

    #[tokio::test]
    async fn a_fresh_document_is_not_fetched_again() {
        let document = tolerant();
        assert_eq!(*document.fresh(NOW, value(1)).await.unwrap(), 1);
        assert_eq!(*document.fresh(NOW, value(2)).await.unwrap(), 1);
        assert_eq!(*document.fresh(NOW.after(HOUR), value(2)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_stale_document_serves_a_day_and_only_after_tolerated_failures() {
        let document = tolerant();
        document.fresh(NOW, value(1)).await.unwrap();
        let later = NOW.after(HOUR);
        let served = document.fresh(later, fault(IdpError::Unavailable)).await;
        assert_eq!(*served.unwrap(), 1);
        assert_eq!(document.outcome(), Some(Err(IdpError::Unavailable)));
        let later = later.after(PAUSE);
        let refused = document
            .fresh(later, fault(IdpError::RuleBroken(ProviderRule::JwksForm)))
            .await;
        assert_eq!(refused, Err(IdpError::RuleBroken(ProviderRule::JwksForm)));
        let later = NOW.after(STALE);
        let refused = document.fresh(later, fault(IdpError::Unavailable)).await;
        assert_eq!(refused, Err(IdpError::Unavailable));
    }

    #[tokio::test]
    async fn a_hundred_callers_cause_one_fetch_also_when_it_fails() {
        let document = tolerant();
        let fetches = AtomicUsize::new(0);
        let slow = async |result| {
            fetches.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            result
        };
        let failing = (0..100).map(|_| document.fresh(NOW, slow(Err(IdpError::Unavailable))));
        assert!(
            futures_util::future::join_all(failing)
                .await
                .iter()
                .all(|result| *result == Err(IdpError::Unavailable))
        );
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        let working = (0..100).map(|_| document.fresh(NOW, slow(Ok((1, HOUR)))));
        assert!(
            futures_util::future::join_all(working)
                .await
                .iter()
                .all(Result::is_ok)
        );
        assert_eq!(fetches.load(Ordering::SeqCst), 2);
    }
}
