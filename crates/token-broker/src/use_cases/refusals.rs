//! Refusals of nobody in particular: the first of each kind and minute are written, the rest are counted. Else whoever
//! repeats a bad request fills the audit stream, and what matters in it is not found.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    audit::{Event, What},
    domain::clock::{Clock, Timestamp},
};

/// So many of a kind are written in a minute. An honest person's reference is found; a flood's is not.
const WRITTEN: u64 = 10;

const MINUTE_MILLIS: u64 = 60_000;

/// Event and reason.
type Kind = (&'static str, String);

/// What was refused in the present minute, by kind: all kinds are words of ours, so there are few.
#[derive(Debug)]
pub(crate) struct Refusals {
    clock: Arc<dyn Clock>,
    kinds: Mutex<HashMap<Kind, Count>>,
}

#[derive(Debug, Default)]
struct Count {
    minute: u64,
    seen: u64,
    /// Since an event of this kind was last written.
    suppressed: u64,
}

impl Refusals {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            kinds: Mutex::default(),
        }
    }

    /// Tells the event, or counts it. One that names a hub user is always told, and so is what speaks of the store.
    pub(crate) fn tell(&self, event: Event<'_>, what: What) {
        if event.names_a_hub_user() || what == What::RecordDecryptionFailed {
            event.tell(what);
            return;
        }
        let reason = event.said_reason().to_owned();
        match self.passes((what.name(), reason.clone()), self.clock.now()) {
            Some(suppressed) => event.suppressed(suppressed).tell(what),
            None => metrics::counter!(
                "hubkey_audit_suppressed_total",
                "event" => what.name(),
                "reason" => reason,
            )
            .increment(1),
        }
    }

    /// How many were suppressed before this one; absent where this one is.
    fn passes(&self, kind: Kind, now: Timestamp) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let count = kinds.entry(kind).or_default();
        let minute = now.as_millis() / MINUTE_MILLIS;
        if count.minute != minute {
            *count = Count {
                minute,
                seen: 0,
                suppressed: count.suppressed,
            };
        }
        count.seen += 1;
        if count.seen > WRITTEN {
            count.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut count.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::TestClock;

    #[test]
    fn the_first_of_each_kind_and_minute_pass_and_the_rest_are_counted() {
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(600_000)));
        let refusals = Refusals::new(Arc::<TestClock>::clone(&clock));
        let passed = |reason: &str| {
            let kind = || ("policy_denied", reason.to_owned());
            let told = (0..300).map(|_| refusals.passes(kind(), clock.now()));
            told.flatten().collect::<Vec<_>>()
        };
        assert_eq!(passed("one").len(), 10);
        assert_eq!(passed("another").len(), 10, "each kind by itself");
        assert_eq!(passed("one").len(), 0);
        clock.advance(std::time::Duration::from_mins(1));
        assert_eq!(
            passed("one")[..2],
            [590, 0],
            "what was suppressed is told once"
        );
    }
}
