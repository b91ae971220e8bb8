//! How a connection's token stays valid: when it is refreshed, and who may use the refresh token (ADR 25).
//!
//! A refresh token is sent by one replica at a time and never again once an answer to it is known. Who sends it writes
//! that down first, together with a lease that ends by the store's own clock. An intent without a lease is one whose
//! outcome nobody knows: the same token may be tried once more, and never a third time.
//!
//! A refusal ends a grant only where it says that the refresh token is dead, or where it was sent a second time after a lost
//! answer. Any other refusal suspends it: a person may sign in at once, and the refresh token is tried again now and then
//! (ADR 49).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, refusal::Refusal};

/// A token is refreshed before this much of it is left, or a tenth of its life if that is more.
const EARLY: Duration = Duration::from_mins(1);
/// How old a token gets whose provider does not say when it ends.
const ASSUMED_LIFE: Duration = Duration::from_mins(5);
/// How far the clock of the replica that asked for a token may be ahead of this one's. If it is more, this
/// clock was set back since, and nobody knows how long the token still lives.
const CLOCKS_APART: Duration = Duration::from_mins(1);
/// The longest rest after failures.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// A rest that seems longer was written by a clock that is wrong.
const CREDIBLE_REST: Duration = Duration::from_mins(5);
/// How often the refresh token of a suspended grant is tried at most, while nobody's like it worked.
pub const SUSPENDED_FOR: Duration = Duration::from_hours(1);
/// How long a person waits for the key that an ID token was signed with before they are asked to sign in.
const KEY_PATIENCE: Duration = Duration::from_mins(15);

/// Who is using a connection's refresh token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum RefreshState {
    /// Nobody.
    #[default]
    Idle,
    /// Nobody, after the provider refused for now or could not be reached.
    Resting {
        /// Not before that.
        until: Timestamp,
        /// How often in a row.
        failures: u32,
        /// Why the last refresh failed.
        reason: BackoffReason,
    },
    /// Someone has sent it or is about to, while there is a lease.
    Refreshing {
        /// Tells attempts apart.
        attempt: u64,
    },
    /// It was sent and the answer got lost. While there is a lease, it is too early to try once more.
    Unknown,
    /// It is being sent once more, while there is a lease.
    Recovering {
        /// Tells attempts apart.
        attempt: u64,
    },
    /// Nobody, after the provider refused it without saying that it is dead. A person may sign in; meanwhile it is tried
    /// again now and then.
    Suspended {
        /// How it was refused.
        refusal: Refusal,
        /// Not before that, unless a grant that was refused in the same way was refreshed since.
        until: Timestamp,
        /// Which recovery of such a grant was known when this one was tried.
        recovery: Option<u64>,
    },
    /// Nobody: the next refresh token has come, and an access token whose ID token could not be judged yet.
    Unverified {
        /// Since when.
        since: Timestamp,
        /// The keys are not looked up again before that.
        until: Timestamp,
        /// How often they were looked up.
        failures: u32,
    },
    /// The grant is gone. A person has to sign in.
    Ended,
}

/// Why a refresh failed that may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackoffReason {
    /// The provider could not be reached, or refused for now.
    Unavailable,
    /// It refuses hubkey's registration or request; the operator has to act.
    Misconfigured,
    /// It gives this connection no token for that audience, resource, scope or issuer.
    Refused,
}

/// What may be done with the refresh token now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshAction {
    /// Send it.
    Refresh,
    /// Send it once more: nobody knows how the first time ended.
    Recover,
    /// Nothing: someone is at it.
    Wait,
    /// Give it up: nobody knows how the second time ended.
    GiveUp,
    /// Send it, if it is time.
    TryAgain,
    /// Judge what it brought.
    Verify,
    /// Nothing, ever.
    Nothing,
}

impl RefreshState {
    /// What may be done, if there is a lease or not.
    #[must_use]
    pub fn next(&self, leased: bool) -> RefreshAction {
        match self {
            Self::Idle | Self::Resting { .. } => RefreshAction::Refresh,
            Self::Suspended { .. } => RefreshAction::TryAgain,
            Self::Unverified { .. } => RefreshAction::Verify,
            Self::Ended => RefreshAction::Nothing,
            Self::Refreshing { .. } | Self::Unknown | Self::Recovering { .. } if leased => {
                RefreshAction::Wait
            }
            Self::Refreshing { .. } | Self::Unknown => RefreshAction::Recover,
            Self::Recovering { .. } => RefreshAction::GiveUp,
        }
    }

    /// For how long it rests, and why.
    #[must_use]
    pub fn rest(&self, now: Timestamp) -> Option<(Duration, BackoffReason)> {
        let (until, reason) = match self {
            Self::Resting { until, reason, .. } => (*until, *reason),
            Self::Unverified { until, .. } => (*until, BackoffReason::Unavailable),
            Self::Idle
            | Self::Refreshing { .. }
            | Self::Unknown
            | Self::Recovering { .. }
            | Self::Suspended { .. }
            | Self::Ended => return None,
        };
        let rest = now.until(until);
        (!rest.is_zero() && rest <= CREDIBLE_REST).then_some((rest, reason))
    }

    /// Whether the refresh token of a suspended grant may be tried: its time has come, or a grant that was refused in the
    /// same way was refreshed since (`recovery`).
    #[must_use]
    pub fn may_try_again(&self, now: Timestamp, recovery: Option<u64>) -> bool {
        let Self::Suspended {
            until,
            recovery: known,
            ..
        } = self
        else {
            return false;
        };
        let left = now.until(*until);
        // One that seems longer was written by a clock that is wrong.
        let is_over = left.is_zero() || left > SUSPENDED_FOR + CLOCKS_APART;
        is_over || (recovery.is_some() && recovery != *known)
    }

    /// Whether a new sign-in takes its place.
    #[must_use]
    pub fn gives_way(&self, now: Timestamp) -> bool {
        matches!(self, Self::Suspended { .. }) || self.waits_too_long(now)
    }

    /// Waiting for the key of an ID token, after one more look.
    #[must_use]
    pub fn unverified_again(&self, now: Timestamp, spread: f64) -> Self {
        let (since, failures) = match self {
            Self::Unverified {
                since, failures, ..
            } => (*since, failures.saturating_add(1)),
            Self::Idle
            | Self::Resting { .. }
            | Self::Refreshing { .. }
            | Self::Unknown
            | Self::Recovering { .. }
            | Self::Suspended { .. }
            | Self::Ended => (now, 1),
        };
        Self::Unverified {
            since,
            until: now.after(doubled(failures).mul_f64(spread)),
            failures,
        }
    }

    /// Whether it waits for the key of an ID token for so long that a person should sign in.
    #[must_use]
    pub fn waits_too_long(&self, now: Timestamp) -> bool {
        matches!(self, Self::Unverified { since, .. } if since.after(KEY_PATIENCE) <= now)
    }

    /// The rest after one more failure: as long as the provider asked for, else twice as long each time, `spread` apart.
    #[must_use]
    pub fn rest_again(
        &self,
        now: Timestamp,
        reason: BackoffReason,
        asked: Option<Duration>,
        spread: f64,
    ) -> Self {
        let failures = match self {
            Self::Resting { failures, .. } => failures.saturating_add(1),
            Self::Idle
            | Self::Refreshing { .. }
            | Self::Unknown
            | Self::Recovering { .. }
            | Self::Suspended { .. }
            | Self::Unverified { .. }
            | Self::Ended => 1,
        };
        let rest = asked.map_or(doubled(failures), |asked| asked.min(CREDIBLE_REST));
        Self::Resting {
            until: now.after(rest.mul_f64(spread).min(CREDIBLE_REST)),
            failures,
            reason,
        }
    }
}

/// Twice as long after each failure, up to the longest rest.
fn doubled(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(5)).min(LONGEST_REST)
}

/// What a kernel's wish for a token needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenNeed {
    /// Nothing: the token is good.
    Nothing,
    /// A refresh.
    Refresh {
        /// Whether the token that is there would do as well.
        usable: bool,
    },
    /// No token of this connection is ever valid for longer than so many seconds.
    TooLong(u64),
    /// A person.
    SignIn,
}

/// When a token began and ends.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// When it was asked for.
    pub obtained_at: Timestamp,
    /// When it ends, if the provider said so.
    pub expires_at: Option<Timestamp>,
}

impl Lifetime {
    /// What a token that is valid for `min_valid` seconds more needs, where another can be had.
    #[must_use]
    pub fn need(self, now: Timestamp, min_valid: u64, spread: f64) -> TokenNeed {
        let wanted = min_valid.max(1);
        let usable = self.is_valid_for(now, wanted);
        if usable && !self.is_due(now, spread) {
            return TokenNeed::Nothing;
        }
        let longest = self.longest();
        if !usable && wanted > longest {
            return TokenNeed::TooLong(longest.max(self.seconds_left(now)));
        }
        TokenNeed::Refresh { usable }
    }

    /// Whether the token is valid for `seconds` more. One whose end the provider did not say counts as valid; one that a
    /// clock which was set back since calls valid does not.
    #[must_use]
    pub fn is_valid_for(self, now: Timestamp, seconds: u64) -> bool {
        let end_comes = self.expires_at.is_none_or(|end| {
            end.as_millis() >= now.as_millis().saturating_add(seconds.saturating_mul(1000))
        });
        end_comes && self.has_begun(now)
    }

    /// Whole seconds that the token is still valid; 0 also where nobody knows.
    #[must_use]
    pub fn seconds_left(self, now: Timestamp) -> u64 {
        match self.expires_at {
            Some(end) if self.has_begun(now) => now.until(end).as_secs(),
            _ => 0,
        }
    }

    /// Whether the token was asked for before now.
    fn has_begun(self, now: Timestamp) -> bool {
        self.obtained_at <= now.after(CLOCKS_APART)
    }

    /// When nobody should use it any more.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.expires_at
            .unwrap_or_else(|| self.obtained_at.after(ASSUMED_LIFE))
    }

    /// Whether it is time for another token.
    fn is_due(self, now: Timestamp, spread: f64) -> bool {
        let (end, early) = match self.expires_at {
            Some(end) => (end, self.early(end)),
            None => (self.obtained_at.after(ASSUMED_LIFE), Duration::ZERO),
        };
        now.after(early.mul_f64(spread)) >= end
    }

    /// How long before its end a token is refreshed; no more than half of its life, so that a new one is not due again.
    fn early(self, end: Timestamp) -> Duration {
        let life = self.obtained_at.until(end);
        EARLY.max(life / 10).min(life / 2)
    }

    /// For how many seconds a kernel may ask. Not quite as long as a new token lives: else each request would ask the
    /// provider for a new one.
    fn longest(self) -> u64 {
        self.expires_at.map_or(u64::MAX, |end| {
            let life = self.obtained_at.until(end).as_secs();
            life.saturating_sub((life / 10).max(1))
        })
    }
}

/// Stands beside a connection while someone uses its refresh token, and ends by the store's own clock.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lease {}

/// That a suspended grant was refreshed: others of its provider that were refused in the same way may be tried again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recovery {
    /// Tells recoveries apart.
    pub mark: u64,
}

/// The times of a refresh.
#[derive(Debug, Clone, Copy)]
pub struct RefreshTimes {
    /// How long nobody else sends the refresh token. Longer than `send_within` and a provider's answer together.
    pub lease: Duration,
    /// How long after the intent the refresh token may still be sent.
    pub send_within: Duration,
    /// How long to wait before the same refresh token is tried once more.
    pub recover_after: Duration,
    /// How long a kernel waits for a refresh.
    pub wait: Duration,
    /// How long it waits if the token that is there would do as well.
    pub patience: Duration,
    /// For how long a new token that could not be stored is tried to be stored.
    pub hold: Duration,
    /// How often.
    pub hold_pause: Duration,
}

impl Default for RefreshTimes {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            send_within: Duration::from_secs(10),
            recover_after: Duration::from_secs(15),
            wait: Duration::from_secs(12),
            patience: Duration::from_secs(3),
            hold: Duration::from_mins(1),
            hold_pause: Duration::from_millis(250),
        }
    }
}

#[cfg(test)]
mod tests;
