//! Refusals of nobody in particular: the first of each kind and minute are written, the rest are counted. Else whoever
//! repeats a bad request fills the audit stream, and what matters in it is not found.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hubkey_domain::clock::{Clock, Timestamp};

use crate::audit::{Event, EventKind};

/// So many of a kind are written in a minute. An honest person's reference is found; a flood's is not.
const MAX_PER_MINUTE: u64 = 10;

const MINUTE_MILLIS: u64 = 60_000;

/// The event's name and its reason.
type RefusalKey = (&'static str, String);

/// What was refused in the present minute, by event and reason: both are words of ours, so there are few.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    clock: Arc<dyn Clock>,
    counts: Mutex<HashMap<RefusalKey, Count>>,
}

#[derive(Debug, Default)]
struct Count {
    minute: u64,
    seen: u64,
    /// Since an event of this kind was last written.
    suppressed: u64,
}

impl RefusalLog {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            counts: Mutex::default(),
        }
    }

    /// Writes the event, or counts it. One that names a hub user is always written, and so is an unreadable record.
    pub(crate) fn emit(&self, event: Event<'_>, kind: EventKind) {
        if event.names_hub_user() || kind == EventKind::RecordDecryptionFailed {
            event.emit(kind);
            return;
        }
        let reason = event.reason_or_empty().to_owned();
        match self.admit((kind.name(), reason.clone()), self.clock.now()) {
            Some(suppressed) => event.suppressed(suppressed).emit(kind),
            None => metrics::counter!(
                "hubkey_audit_suppressed_total",
                "event" => kind.name(),
                "reason" => reason,
            )
            .increment(1),
        }
    }

    /// How many were suppressed before this one; absent where this one is.
    fn admit(&self, key: RefusalKey, now: Timestamp) -> Option<u64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        let minute = now.as_millis() / MINUTE_MILLIS;
        if count.minute != minute {
            *count = Count {
                minute,
                seen: 0,
                suppressed: count.suppressed,
            };
        }
        count.seen += 1;
        if count.seen > MAX_PER_MINUTE {
            count.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut count.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use hubkey_domain::clock::TestClock;

    use super::*;

    #[test]
    fn the_first_of_each_kind_and_minute_pass_and_the_rest_are_counted() {
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(600_000)));
        let refusal_log = RefusalLog::new(Arc::<TestClock>::clone(&clock));
        let passed = |reason: &str| {
            let key = || ("policy_denied", reason.to_owned());
            let admitted = (0..300).map(|_| refusal_log.admit(key(), clock.now()));
            admitted.flatten().collect::<Vec<_>>()
        };
        assert_eq!(passed("one").len(), 10);
        assert_eq!(passed("another").len(), 10, "each kind by itself");
        assert_eq!(passed("one").len(), 0);
        clock.advance(std::time::Duration::from_mins(1));
        assert_eq!(
            passed("one")[..2],
            [590, 0],
            "what was suppressed is reported once"
        );
    }
}
