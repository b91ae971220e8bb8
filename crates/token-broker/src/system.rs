//! The machine's own time and chance.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use hubkey_domain::{
    clock::{Clock, Timestamp},
    random::RandomSource,
};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is passed"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The machine's source of random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    #[expect(
        clippy::expect_used,
        reason = "without random bytes there are no secrets, and nothing may go on"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the machine gives random bytes");
    }
}
