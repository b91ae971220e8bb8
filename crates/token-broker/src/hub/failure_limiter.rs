//! How many tokens or codes may turn out to be none: each costs the Hub a question, or a check of a signature.
//!
//! Only failures are counted, so a class whose servers start together is never held up. Since a question's outcome is
//! known only afterwards, a question holds a slot while it is under way; where all slots that are left are held, the
//! next one waits for an outcome instead of being refused.
//!
//! The rate is that of the generic cell rate algorithm. `governor` implements that too, but has neither a look without
//! a charge nor a refund, and both are needed here.

use std::{
    fmt::{self, Debug},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hubkey_domain::clock::{Clock, Timestamp};
use moka::future::Cache;
use tokio::sync::Notify;

/// Of tokens: 5 a second and 20 at once from one client, 50 a second in all.
const TOKENS: Rates = Rates {
    per_client: Rate {
        interval: Duration::from_millis(200),
        burst: 20,
    },
    total: Rate {
        interval: Duration::from_millis(20),
        burst: 50,
    },
};
const MAX_CLIENTS: u64 = 16_384;
/// A bucket is full again long before.
const FORGET_CLIENT_AFTER: Duration = Duration::from_mins(1);

/// The buckets of all clients, and the one of all together. A client is an address, or whatever else can be told apart.
pub struct FailureLimiter<K = IpAddr> {
    clock: Arc<dyn Clock>,
    per_client: Rate,
    clients: Cache<K, Arc<Bucket>>,
    total: Arc<Bucket>,
}

/// Who failed is not shown.
impl<K> Debug for FailureLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLimiter")
            .field("per_client", &self.per_client)
            .field("total", &self.total.rate)
            .finish_non_exhaustive()
    }
}

/// How many may fail.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Of one client.
    pub per_client: Rate,
    /// Of all together.
    pub total: Rate,
}

/// A slot for one question. Dropping it counts as a failure: a caller that hangs up must not get its question for free.
#[derive(Debug)]
pub struct Slot {
    held: Vec<Arc<Bucket>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    state: Mutex<State>,
    changed: Notify,
}

/// So many at once, and after that one in each interval.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// After which there is one more.
    pub interval: Duration,
    /// As many as there are at most.
    pub burst: u32,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// When the bucket will be full again.
    full_at: Timestamp,
    held: u32,
}

enum Reservation {
    Yes,
    /// Perhaps, when a question that is under way has its outcome.
    Pending,
    /// Too many failed.
    No,
}

impl FailureLimiter {
    /// Full buckets, for tokens.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, TOKENS)
    }

    /// Whether a question from there would be refused now.
    pub(super) async fn is_exhausted(&self, client: Option<IpAddr>) -> bool {
        let now = self.clock.now();
        let mut buckets = self.buckets(network_of_client(client)).await.into_iter();
        buckets.any(|bucket| bucket.left(now) == 0)
    }

    /// A slot for a question, if not too many failed.
    pub async fn acquire(&self, client: Option<IpAddr>) -> Option<Slot> {
        self.acquire_for(network_of_client(client)).await
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> FailureLimiter<K> {
    /// Full buckets.
    pub fn with(clock: Arc<dyn Clock>, rates: Rates) -> Self {
        Self {
            total: Arc::new(Bucket::full(rates.total, clock.now())),
            clock,
            per_client: rates.per_client,
            clients: Cache::builder()
                .max_capacity(MAX_CLIENTS)
                .time_to_idle(FORGET_CLIENT_AFTER)
                .build(),
        }
    }

    /// A slot for a question of that one, if not too many failed.
    pub async fn acquire_for(&self, one: Option<K>) -> Option<Slot> {
        let mut slot = Slot {
            held: Vec::with_capacity(2),
            clock: Arc::clone(&self.clock),
        };
        for bucket in self.buckets(one).await {
            if !bucket.reserve(&*self.clock).await {
                slot.refund();
                return None;
            }
            slot.held.push(bucket);
        }
        Some(slot)
    }

    /// Its own first: who waits there holds up nobody else.
    async fn buckets(&self, one: Option<K>) -> Vec<Arc<Bucket>> {
        let mut buckets = Vec::with_capacity(2);
        if let Some(one) = one {
            let new = async { Arc::new(Bucket::full(self.per_client, self.clock.now())) };
            buckets.push(self.clients.get_with(one, new).await);
        }
        buckets.push(Arc::clone(&self.total));
        buckets
    }
}

impl Slot {
    /// The question was no failed verification: it costs nothing.
    pub fn refund(mut self) {
        for bucket in self.held.drain(..) {
            bucket.release(None);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for bucket in self.held.drain(..) {
            bucket.release(Some(self.clock.now()));
        }
    }
}

impl Bucket {
    fn full(rate: Rate, now: Timestamp) -> Self {
        Self {
            rate,
            state: Mutex::new(State {
                full_at: now,
                held: 0,
            }),
            changed: Notify::new(),
        }
    }

    async fn reserve(&self, clock: &dyn Clock) -> bool {
        loop {
            let changed = self.changed.notified();
            match self.try_reserve(clock.now()) {
                Reservation::Yes => return true,
                Reservation::No => return false,
                Reservation::Pending => changed.await,
            }
        }
    }

    fn try_reserve(&self, now: Timestamp) -> Reservation {
        let mut state = self.state();
        let left = self.rate.left(*state, now);
        if left == 0 {
            Reservation::No
        } else if state.held >= left {
            Reservation::Pending
        } else {
            state.held += 1;
            Reservation::Yes
        }
    }

    fn release(&self, failed_at: Option<Timestamp>) {
        let mut state = self.state();
        state.held = state.held.saturating_sub(1);
        if let Some(now) = failed_at {
            state.full_at = self.rate.clamped(*state, now).after(self.rate.interval);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn left(&self, now: Timestamp) -> u32 {
        self.rate.left(*self.state(), now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    /// How many more may fail now.
    fn left(self, state: State, now: Timestamp) -> u32 {
        let missing = now.until(self.clamped(state, now)).as_millis();
        let missing = missing.div_ceil(self.interval.as_millis().max(1));
        self.burst
            .saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    /// When the bucket will be full: not before now, and no later than an empty one. The latter matters where the wall
    /// clock was set back.
    fn clamped(self, state: State, now: Timestamp) -> Timestamp {
        let empty = now.after(self.interval.saturating_mul(self.burst));
        state.full_at.clamp(now, empty)
    }
}

/// What counts as one client, if the address says anything: everybody on this machine, and who came through a proxy on it,
/// has the loopback address.
pub fn network_of_client(client: Option<IpAddr>) -> Option<IpAddr> {
    client
        .filter(|client| !client.to_canonical().is_loopback())
        .map(network_of)
}

/// An IPv6 host commands a whole /64.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use hubkey_domain::clock::TestClock;

    use super::*;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
    const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));

    fn failures() -> (FailureLimiter, Arc<TestClock>) {
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(1_000_000)));
        (FailureLimiter::new(Arc::<TestClock>::clone(&clock)), clock)
    }

    async fn fail(failures: &FailureLimiter, client: Option<IpAddr>, times: u32) -> u32 {
        let mut failed = 0;
        for _ in 0..times {
            failed += u32::from(failures.acquire(client).await.is_some());
        }
        failed
    }

    #[tokio::test]
    async fn security_q7_a_peer_fails_20_times_and_then_5_times_a_second() {
        let (failures, clock) = failures();
        assert_eq!(fail(&failures, CLIENT, 100).await, 20);
        assert!(failures.is_exhausted(CLIENT).await);
        assert!(!failures.is_exhausted(OTHER).await);
        clock.advance(Duration::from_secs(1));
        assert_eq!(fail(&failures, CLIENT, 100).await, 5);
        clock.advance(Duration::from_mins(1));
        assert_eq!(fail(&failures, CLIENT, 100).await, 20);
    }

    #[tokio::test]
    async fn security_q7_all_peers_together_fail_50_times_a_second() {
        let (failures, clock) = failures();
        let mut failed = 0;
        for last in 1..=10 {
            failed += fail(&failures, Some(IpAddr::from([10, 1, 0, last])), 20).await;
        }
        assert_eq!(failed, 50);
        assert_eq!(fail(&failures, None, 100).await, 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            fail(&failures, Some(IpAddr::from([127, 0, 0, 1])), 100).await,
            50
        );
    }

    #[tokio::test]
    async fn success_costs_nothing_and_lets_those_who_wait_go_on() {
        let (failures, _) = failures();
        let mut slots = Vec::new();
        for _ in 0..20 {
            slots.push(failures.acquire(CLIENT).await.unwrap());
        }
        let mut waiting = Box::pin(failures.acquire(CLIENT));
        assert!(poll!(waiting.as_mut()).is_pending());
        slots.pop().unwrap().refund();
        waiting.await.unwrap().refund();
        for slot in slots {
            slot.refund();
        }
        assert_eq!(fail(&failures, CLIENT, 100).await, 20);
    }

    #[tokio::test]
    async fn security_q7_who_waits_is_refused_when_the_others_fail() {
        let (failures, _) = failures();
        let mut slots = Vec::new();
        for _ in 0..20 {
            slots.push(failures.acquire(CLIENT).await.unwrap());
        }
        let mut waiting = Box::pin(failures.acquire(CLIENT));
        assert!(poll!(waiting.as_mut()).is_pending());
        drop(slots);
        assert!(waiting.await.is_none());
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_locks_nobody_out() {
        let (failures, _) = failures();
        assert_eq!(fail(&failures, CLIENT, 20).await, 20);
        let bucket = failures.clients.get(&CLIENT.unwrap()).await.unwrap();
        assert_eq!(bucket.left(Timestamp::from_millis(0)), 0);
        assert_eq!(bucket.left(Timestamp::from_millis(1_004_000)), 20);
    }

    #[test]
    fn security_q7_an_ipv6_host_is_one_peer_however_many_addresses_it_takes() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
    }
}
