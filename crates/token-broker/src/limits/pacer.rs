//! So many at once, and after that one in a while: who comes sooner waits, and nobody is refused.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::future::Cache;
use tokio::time::{Instant, sleep_until};

/// So many keys are remembered at most.
const MAX_KEYS: u64 = 65_536;
/// By then everybody may go again at once.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// The pace of each who asks. It is the generic cell rate algorithm, with a wait in place of a refusal; who gives up
/// while waiting has used nothing.
pub struct Pacer<K> {
    interval: Duration,
    burst: u32,
    /// When each may go as if they had never gone before.
    next_free: Cache<K, Arc<Mutex<Instant>>>,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Pacer<K> {
    /// `burst` at once, and then one in each `interval`.
    #[must_use]
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self {
            interval,
            burst,
            next_free: Cache::builder()
                .max_capacity(MAX_KEYS)
                .time_to_idle(FORGET_AFTER)
                .build(),
        }
    }

    /// Waits until this key may go.
    pub async fn wait(&self, key: &K) {
        let next_free = self
            .next_free
            .get_with_by_ref(key, async { Arc::new(Mutex::new(Instant::now())) });
        let next_free = next_free.await;
        while let Err(later) = self.try_acquire(&next_free) {
            sleep_until(later).await;
        }
    }

    /// When to try again, if it is too early now.
    fn try_acquire(&self, next_free: &Mutex<Instant>) -> Result<(), Instant> {
        let now = Instant::now();
        let ahead = self.interval.saturating_mul(self.burst.saturating_sub(1));
        let mut next_free = next_free.lock().unwrap_or_else(PoisonError::into_inner);
        let then = (*next_free).max(now);
        if then.duration_since(now) > ahead {
            return Err(then - ahead);
        }
        *next_free = then + self.interval;
        Ok(())
    }
}

/// Who asked is nobody's business.
impl<K> fmt::Debug for Pacer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer")
            .field("burst", &self.burst)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const PACE: (u32, Duration) = (5, Duration::from_millis(200));

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_one_by_one() {
        let pacer = Pacer::new(PACE.0, PACE.1);
        let begun = Instant::now();
        join_all((0..5).map(|_| pacer.wait(&1))).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        join_all((0..10).map(|_| pacer.wait(&1))).await;
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(2) && took < Duration::from_millis(2100),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_another_one_and_who_rested_goes_at_once() {
        let pacer = Pacer::new(PACE.0, PACE.1);
        join_all((0..15).map(|_| pacer.wait(&1))).await;
        let begun = Instant::now();
        pacer.wait(&2).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep_until(begun + Duration::from_secs(1)).await;
        join_all((0..5).map(|_| pacer.wait(&1))).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_has_used_nothing() {
        let pacer = Pacer::new(PACE.0, PACE.1);
        join_all((0..5).map(|_| pacer.wait(&1))).await;
        for _ in 0..100 {
            let given_up = tokio::time::timeout(Duration::from_micros(10), pacer.wait(&1));
            given_up.await.unwrap_err();
        }
        let begun = Instant::now();
        pacer.wait(&1).await;
        assert!(begun.elapsed() <= PACE.1);
    }
}
