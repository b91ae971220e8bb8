//! So many at once, and after that one in a while: who comes sooner waits, and nobody is refused.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::future::Cache;
use tokio::time::{Instant, sleep_until};

/// Whose turns are remembered at most.
const MAX_KEYS: u64 = 65_536;
/// By then everybody may go again at once.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// The pace of each who asks. It is the generic cell rate algorithm, with a wait in place of a refusal; who gives up
/// while waiting has used nothing.
pub struct Pace<K> {
    interval: Duration,
    burst: u32,
    /// When each may go as if they had never gone before.
    rested: Cache<K, Arc<Mutex<Instant>>>,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Pace<K> {
    /// `burst` at once, and then one in each `interval`.
    #[must_use]
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self {
            interval,
            burst,
            rested: Cache::builder()
                .max_capacity(MAX_KEYS)
                .time_to_idle(FORGET_AFTER)
                .build(),
        }
    }

    /// Waits until it is this one's turn.
    pub async fn turn(&self, key: &K) {
        let rested = self
            .rested
            .get_with_by_ref(key, async { Arc::new(Mutex::new(Instant::now())) });
        let rested = rested.await;
        while let Err(later) = self.try_turn(&rested) {
            sleep_until(later).await;
        }
    }

    /// When to try again, if it is not their turn now.
    fn try_turn(&self, rested: &Mutex<Instant>) -> Result<(), Instant> {
        let now = Instant::now();
        let ahead = self.interval.saturating_mul(self.burst.saturating_sub(1));
        let mut rested = rested.lock().unwrap_or_else(PoisonError::into_inner);
        let then = (*rested).max(now);
        if then.duration_since(now) > ahead {
            return Err(then - ahead);
        }
        *rested = then + self.interval;
        Ok(())
    }
}

/// Who asked is nobody's business.
impl<K> fmt::Debug for Pace<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace")
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
        let pace = Pace::new(PACE.0, PACE.1);
        let begun = Instant::now();
        join_all((0..5).map(|_| pace.turn(&1))).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        join_all((0..10).map(|_| pace.turn(&1))).await;
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(2) && took < Duration::from_millis(2100),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_another_one_and_who_rested_goes_at_once() {
        let pace = Pace::new(PACE.0, PACE.1);
        join_all((0..15).map(|_| pace.turn(&1))).await;
        let begun = Instant::now();
        pace.turn(&2).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep_until(begun + Duration::from_secs(1)).await;
        join_all((0..5).map(|_| pace.turn(&1))).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_has_used_nothing() {
        let pace = Pace::new(PACE.0, PACE.1);
        join_all((0..5).map(|_| pace.turn(&1))).await;
        for _ in 0..100 {
            let given_up = tokio::time::timeout(Duration::from_micros(10), pace.turn(&1));
            given_up.await.unwrap_err();
        }
        let begun = Instant::now();
        pace.turn(&1).await;
        assert!(begun.elapsed() <= PACE.1);
    }
}
