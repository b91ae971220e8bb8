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

/// Longer than anything is remembered: by then a slot is empty in effect.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// What a question is about, as a hash.
pub type Topic = [u8; 32];

/// What was answered, by topic. Whoever comes while a question is under way waits for the next answer: one is *fresh* for
/// those who came before its question was sent, which is told by counting, not by the clock.
pub struct Answers<V> {
    clock: Arc<dyn Clock>,
    slots: Cache<Topic, Arc<Slot<V>>>,
    count: AtomicU64,
}

/// Held while a question is under way.
type Slot<V> = Mutex<Option<Known<V>>>;

struct Known<V> {
    value: V,
    /// The count when the question was sent.
    asked: u64,
    asked_at: Timestamp,
    good_for: Duration,
}

impl<V: Clone + Send + 'static> Answers<V> {
    /// Nothing is known yet. Of so many topics the answers are remembered.
    pub fn new(clock: Arc<dyn Clock>, most: u64) -> Self {
        Self {
            clock,
            slots: Cache::builder()
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
        topic: Topic,
        turn: impl Future<Output = ()>,
        question: impl Future<Output = (V, Duration)>,
    ) -> V {
        let came = self.tick();
        let slot = self.slots.get_with(topic, async { Arc::default() }).await;
        let mut last = slot.lock().await;
        if let Some(known) = &*last
            && known.is_good(came, self.clock.now())
        {
            return known.value.clone();
        }
        turn.await;
        let (asked, asked_at) = (self.tick(), self.clock.now());
        let (value, good_for) = question.await;
        *last = Some(Known {
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

impl<V> Known<V> {
    fn is_good(&self, came: u64, now: Timestamp) -> bool {
        // An answer from the future is one from before the wall clock was set back: of unknown age.
        let is_young = self.asked_at <= now && self.asked_at.until(now) < self.good_for;
        self.asked > came || is_young
    }
}

/// What was answered may say who a person is.
impl<V> fmt::Debug for Answers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("topics", &self.slots.entry_count())
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
        answers: Answers<usize>,
        clock: Arc<TestClock>,
        asked: AtomicUsize,
    }

    impl Stage {
        fn set() -> Self {
            let clock = Arc::new(TestClock::at(Timestamp::from_millis(1_000_000)));
            Self {
                answers: Answers::new(Arc::<TestClock>::clone(&clock), 100),
                clock,
                asked: AtomicUsize::new(0),
            }
        }

        async fn ask(&self, topic: u8, good_for: Duration) -> usize {
            let question = async {
                tokio::task::yield_now().await;
                (self.asked.fetch_add(1, Ordering::SeqCst) + 1, good_for)
            };
            self.answers.get([topic; 32], ready(()), question).await
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
        // The first one's question was sent before the others came.
        assert_eq!(all[0], 1);
        assert!(all[1..].iter().all(|answer| *answer == 2), "{all:?}");
        assert_eq!(stage.ask(1, Duration::ZERO).await, 3, "and later nobody");
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_leaves_no_answer() {
        let stage = Stage::set();
        let never = std::future::pending();
        let given_up = stage.answers.get([1; 32], ready(()), never);
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
