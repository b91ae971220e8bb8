//! Answers that are remembered for seconds; one question at a time is under way for one thing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hubkey_domain::clock::{Clock, Timestamp};
use moka::future::Cache;
use tokio::sync::Mutex;

/// Longer than anything is remembered: by then an entry is empty in effect.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// What a question is about, as a hash.
pub type CacheKey = [u8; 32];

/// What was answered, by key. Whoever comes while a question is under way waits for the next answer: one is *fresh* for
/// those who arrived before its question was sent, which a counter decides, not the clock.
pub struct CoalescingCache<V> {
    clock: Arc<dyn Clock>,
    entries: Cache<CacheKey, Arc<Entry<V>>>,
    count: AtomicU64,
}

/// Held while a question is under way.
type Entry<V> = Mutex<Option<CachedAnswer<V>>>;

struct CachedAnswer<V> {
    value: V,
    /// The count when the question was sent.
    asked: u64,
    asked_at: Timestamp,
    good_for: Duration,
}

impl<V: Clone + Send + 'static> CoalescingCache<V> {
    /// Nothing is known yet. Of so many topics the answers are remembered.
    pub fn new(clock: Arc<dyn Clock>, most: u64) -> Self {
        Self {
            clock,
            entries: Cache::builder()
                .max_capacity(most)
                .time_to_idle(FORGET_AFTER)
                .build(),
            count: AtomicU64::new(1),
        }
    }

    /// The answer: a remembered one, that of a question that others sent meanwhile, or that of this one, which says how
    /// long it is good for. `turn` is waited for before a question counts as sent.
    pub async fn get(
        &self,
        key: CacheKey,
        turn: impl Future<Output = ()>,
        question: impl Future<Output = (V, Duration)>,
    ) -> V {
        let arrived = self.tick();
        let entry = self.entries.get_with(key, async { Arc::default() }).await;
        let mut last = entry.lock().await;
        if let Some(known) = &*last
            && known.is_good(arrived, self.clock.now())
        {
            return known.value.clone();
        }
        turn.await;
        let (asked, asked_at) = (self.tick(), self.clock.now());
        let (value, good_for) = question.await;
        *last = Some(CachedAnswer {
            value: value.clone(),
            asked,
            asked_at,
            good_for,
        });
        value
    }

    fn tick(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst)
    }
}

impl<V> CachedAnswer<V> {
    fn is_good(&self, arrived: u64, now: Timestamp) -> bool {
        // An answer from the future is one from before the wall clock was set back: of unknown age.
        let is_young = self.asked_at <= now && self.asked_at.until(now) < self.good_for;
        self.asked > arrived || is_young
    }
}

/// What was answered may say who a person is.
impl<V> fmt::Debug for CoalescingCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalescingCache")
            .field("entries", &self.entries.entry_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::atomic::AtomicUsize};

    use futures_util::future::join_all;
    use hubkey_domain::clock::TestClock;

    use super::*;

    struct Stage {
        cache: CoalescingCache<usize>,
        clock: Arc<TestClock>,
        asked: AtomicUsize,
    }

    impl Stage {
        fn set() -> Self {
            let clock = Arc::new(TestClock::at(Timestamp::from_millis(1_000_000)));
            Self {
                cache: CoalescingCache::new(Arc::<TestClock>::clone(&clock), 100),
                clock,
                asked: AtomicUsize::new(0),
            }
        }

        async fn ask(&self, topic: u8, good_for: Duration) -> usize {
            let question = async {
                tokio::task::yield_now().await;
                (self.asked.fetch_add(1, Ordering::SeqCst) + 1, good_for)
            };
            self.cache.get([topic; 32], ready(()), question).await
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn an_answer_is_remembered_for_as_long_as_it_says() {
        let stage = Stage::set();
        assert_eq!(stage.ask(1, SECOND).await, 1);
        assert_eq!(stage.ask(1, SECOND).await, 1);
        assert_eq!(stage.ask(2, SECOND).await, 2, "another topic");
        stage.clock.advance(SECOND);
        assert_eq!(stage.ask(1, SECOND).await, 3);
    }

    #[tokio::test]
    async fn who_comes_before_a_question_is_sent_shares_its_answer() {
        let stage = Stage::set();
        let all = join_all((0..100).map(|_| stage.ask(1, Duration::ZERO))).await;
        // The first one's question was sent before the others arrived.
        assert_eq!(all[0], 1);
        assert!(all[1..].iter().all(|answer| *answer == 2), "{all:?}");
        assert_eq!(stage.ask(1, Duration::ZERO).await, 3, "and later nobody");
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_leaves_no_answer() {
        let stage = Stage::set();
        let never = std::future::pending();
        let given_up = stage.cache.get([1; 32], ready(()), never);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), given_up)
                .await
                .is_err()
        );
        assert_eq!(stage.ask(1, SECOND).await, 1);
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_an_answer_old() {
        let stage = Stage::set();
        assert_eq!(stage.ask(1, SECOND).await, 1);
        stage.clock.set_back(Duration::from_mins(1));
        assert_eq!(stage.ask(1, SECOND).await, 2);
    }
}
