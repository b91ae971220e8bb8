//! What may come of a schedule.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::fixture::Connected;

/// What a broker waits at least before it sends a refresh token once more, and something for the way.
const PAUSE: Duration = Duration::from_millis(14_500);

/// How a schedule ended for its kernels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Token(String),
    SignIn,
}

#[derive(Debug)]
pub(crate) struct ScheduleOutcome {
    pub(crate) seed: u64,
    pub(crate) connected: Connected,
    pub(crate) ending: Ending,
}

/// A refresh token is never sent twice at a time, and never a third time (ADR 25).
pub(crate) fn assert_apart(case: &str, sent: &[Instant]) {
    assert!(sent.len() <= 2, "{case}: sent {} times", sent.len());
    if let [first, second] = sent {
        let pause = second.duration_since(*first);
        assert!(pause >= PAUSE, "{case}: sent again after {pause:?}");
    }
}

/// How schedules ended, and what was done to the brokers meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    tokens: usize,
    recovered: usize,
    sign_ins: usize,
    /// Sign-ins without a use that was refused: both tries were orphaned.
    given_up: usize,
    deaths: usize,
    stops: usize,
}

impl Outcomes {
    /// Of no schedule yet, after so many kills and stops.
    pub(crate) fn of(deaths: usize, stops: usize) -> Self {
        Self {
            deaths,
            stops,
            ..Self::default()
        }
    }

    /// `uses`: when the refresh token came to the provider.
    pub(crate) fn check(&mut self, outcome: &ScheduleOutcome, uses: &[Instant]) {
        let seed = outcome.seed;
        assert_apart(&format!("seed {seed}"), uses);
        match outcome.ending {
            Ending::Token(_) => {
                assert!(!uses.is_empty(), "seed {seed}: a token from nowhere");
                self.tokens += 1;
                self.recovered += usize::from(uses.len() == 2);
            }
            Ending::SignIn => {
                self.sign_ins += 1;
                self.given_up += usize::from(uses.len() < 2);
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.recovered += other.recovered;
        self.sign_ins += other.sign_ins;
        self.given_up += other.given_up;
        self.deaths += other.deaths;
        self.stops += other.stops;
    }

    /// Whether so much happened that the rest means something, and no more was lost than a strict provider takes.
    pub(crate) fn assert_lively(&self) {
        let all = self.tokens + self.sign_ins;
        assert!(self.deaths > 0 && self.stops > 0, "too calm: {self}");
        assert!(
            self.tokens > 0 && self.sign_ins > 0,
            "too calm or too wild: {self}"
        );
        assert!(self.sign_ins * 2 < all, "too many sign-ins: {self}");
        assert!(self.given_up * 10 < all, "too many were given up: {self}");
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tokens ({} on the second try), {} sign-ins ({} given up), {} kills, {} stops",
            self.tokens, self.recovered, self.sign_ins, self.given_up, self.deaths, self.stops
        )
    }
}
