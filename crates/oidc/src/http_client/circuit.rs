//! Circuit breaker: after failures in a row an endpoint is left alone for a while, then the result of one probe decides for
//! all callers (ADR 40). Knows neither time nor chance nor network.

use std::{collections::VecDeque, time::Duration};

use hubkey_domain::clock::Timestamp;

/// So many failures in a row,
const FAILURES: usize = 5;
/// within this time, open the circuit.
const WINDOW: Duration = Duration::from_secs(30);
/// The first rest. Each further one is twice as long, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// A provider may ask for a longer one, but not for any.
const LONGEST_ASKED: Duration = Duration::from_mins(5);
/// What others are told while one caller tries.
const WHILE_PROBED: Duration = Duration::from_secs(1);

/// Where a rest ends: never before it is over, and up to half of it later, so that replicas do not come back together.
const SPREAD: f64 = 0.5;
/// A rest that seems longer was written by a clock that is wrong.
const CREDIBLE: Duration = Duration::from_mins(8);

/// One endpoint's circuit.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: State,
    /// Grows with each change of state: what was sent before one says nothing after it.
    epoch: u64,
    /// When the last failures in a row were.
    failures: VecDeque<Timestamp>,
    /// How often in a row it was opened.
    openings: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Everybody asks.
    #[default]
    Closed,
    /// Nobody asks before that.
    Open { until: Timestamp },
    /// One caller asks.
    Probed,
}

/// Says in which epoch a call was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The endpoint answers; whatever it said.
    Works,
    /// It does not, and may have said when it wants to be asked again.
    Fails(Option<Duration>),
    /// The call ended before that was known.
    Unknown,
}

/// A change that is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is left alone for so long.
    Opened(Duration),
    /// It is asked again.
    Closed,
}

impl Circuit {
    /// Whether everybody may ask.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// For how long nobody may ask, if so.
    pub(super) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Probed => Some(WHILE_PROBED),
            State::Open { until } => {
                let rest = now.until(until);
                (!rest.is_zero() && rest <= CREDIBLE).then_some(rest)
            }
        }
    }

    /// Whether this caller may ask. After a rest the first one may, and nobody else until it is known what it found.
    pub(super) fn admit(&mut self, now: Timestamp) -> Option<Epoch> {
        if self.retry_after(now).is_some() {
            return None;
        }
        if !self.is_closed() {
            self.enter(State::Probed);
        }
        Some(Epoch(self.epoch))
    }

    /// Takes note of a call that was admitted. `chance` is out of 0 to 1.
    pub(super) fn record(
        &mut self,
        epoch: Epoch,
        now: Timestamp,
        verdict: Verdict,
        chance: f64,
    ) -> Option<Change> {
        if epoch != Epoch(self.epoch) {
            return None;
        }
        match (verdict, self.state) {
            (Verdict::Works, State::Closed) => {
                self.failures.clear();
                None
            }
            (Verdict::Works, _) => {
                *self = Self {
                    epoch: self.epoch + 1,
                    ..Self::default()
                };
                Some(Change::Closed)
            }
            (Verdict::Fails(asked), State::Closed) => {
                self.remember(now);
                (self.failures.len() >= FAILURES).then(|| self.open(now, asked, chance))
            }
            (Verdict::Fails(asked), _) => Some(self.open(now, asked, chance)),
            // The next caller tries in its place.
            (Verdict::Unknown, State::Probed) => {
                self.enter(State::Open { until: now });
                None
            }
            (Verdict::Unknown, _) => None,
        }
    }

    fn remember(&mut self, now: Timestamp) {
        self.failures
            .retain(|&failure| failure <= now && failure.until(now) <= WINDOW);
        self.failures.push_back(now);
    }

    fn open(&mut self, now: Timestamp, asked: Option<Duration>, chance: f64) -> Change {
        let doubled = FIRST_REST * (1 << self.openings.min(4));
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        let rest = doubled.min(LONGEST_REST).max(asked);
        let rest = rest.mul_f64(1.0 + SPREAD * chance.clamp(0.0, 1.0));
        self.openings = self.openings.saturating_add(1);
        self.failures.clear();
        self.enter(State::Open {
            until: now.after(rest),
        });
        Change::Opened(rest)
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn fail(circuit: &mut Circuit, now: Timestamp) -> Option<Change> {
        let epoch = circuit.admit(now).expect("it may be asked");
        circuit.record(epoch, now, Verdict::Fails(None), 0.0)
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        for _ in 1..FAILURES {
            assert_eq!(fail(&mut circuit, START), None);
        }
        assert_eq!(fail(&mut circuit, START), Some(Change::Opened(FIRST_REST)));
        circuit
    }

    #[test]
    fn rests_grow_and_end_with_the_first_success() {
        let mut circuit = opened();
        let mut now = START;
        for seconds in [10, 20, 40, 60, 60] {
            now = now.after(circuit.retry_after(now).unwrap());
            let rest = Duration::from_secs(seconds);
            assert_eq!(fail(&mut circuit, now), Some(Change::Opened(rest)));
        }
        now = now.after(LONGEST_REST);
        let epoch = circuit.admit(now).unwrap();
        let change = circuit.record(epoch, now, Verdict::Works, 0.5);
        assert_eq!(change, Some(Change::Closed));
        assert_eq!(circuit.openings, 0);
    }

    #[test]
    fn failures_that_lie_far_apart_or_around_a_success_open_nothing() {
        let mut circuit = Circuit::default();
        let mut now = START;
        for _ in 0..50 {
            now = now.after(WINDOW / 3);
            assert_eq!(fail(&mut circuit, now), None);
        }
        let mut circuit = Circuit::default();
        for round in 0..50 {
            if round % 4 == 0 {
                let epoch = circuit.admit(START).unwrap();
                circuit.record(epoch, START, Verdict::Works, 0.0);
            }
            assert_eq!(fail(&mut circuit, START), None);
        }
    }

    #[test]
    fn a_rest_is_as_long_as_asked_for_but_not_for_ever() {
        for (asked, rest) in [(1, 5), (20, 20), (86_400, 300)] {
            let mut circuit = Circuit::default();
            let mut change = None;
            for _ in 0..FAILURES {
                let epoch = circuit.admit(START).unwrap();
                let asked = Some(Duration::from_secs(asked));
                change = circuit.record(epoch, START, Verdict::Fails(asked), 0.0);
            }
            assert_eq!(change, Some(Change::Opened(Duration::from_secs(rest))));
        }
    }

    #[test]
    fn a_clock_that_jumps_back_keeps_nobody_out() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(START), None);
        let before = Timestamp::from_millis(START.as_millis() - 3_600_000);
        assert!(circuit.admit(before).is_some());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Ask,
        Settle(usize, Verdict, f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let verdict = prop_oneof![
            1 => Just(Verdict::Works),
            4 => Just(Verdict::Fails(None)),
            1 => (0..1000_u64).prop_map(|asked| Verdict::Fails(Some(Duration::from_secs(asked)))),
            1 => Just(Verdict::Unknown),
        ];
        prop_oneof![
            1 => (0..20_000_u64).prop_map(Step::Wait),
            4 => Just(Step::Ask),
            4 => (any::<usize>(), verdict, 0.0..1.0).prop_map(|(at, verdict, chance)| {
                Step::Settle(at, verdict, chance)
            }),
        ]
    }

    proptest! {
        #[test]
        fn security_r11_nobody_asks_during_a_rest_and_one_asks_after_it(steps in vec(step(), 1..400)) {
            let (mut circuit, mut now) = (Circuit::default(), START);
            let mut calls: Vec<Epoch> = Vec::new();
            let mut rests_until = None;
            let mut probe = None;
            for step in steps {
                match step {
                    Step::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                    Step::Ask => {
                        let admitted = circuit.admit(now);
                        let may = rests_until.is_none_or(|until| now >= until) && probe.is_none();
                        prop_assert_eq!(admitted.is_some(), may);
                        prop_assert_eq!(circuit.is_closed(), rests_until.is_none());
                        calls.extend(admitted);
                        probe = admitted.filter(|_| rests_until.is_some()).or(probe);
                    }
                    Step::Settle(..) if calls.is_empty() => {}
                    Step::Settle(at, verdict, chance) => {
                        let epoch = calls.swap_remove(at % calls.len());
                        let was_probe = probe == Some(epoch);
                        match circuit.record(epoch, now, verdict, chance) {
                            Some(Change::Opened(rest)) => {
                                prop_assert!(was_probe || rests_until.is_none());
                                prop_assert!(rest >= FIRST_REST && rest <= CREDIBLE);
                                rests_until = Some(now.after(rest));
                            }
                            Some(Change::Closed) => {
                                prop_assert!(was_probe && verdict == Verdict::Works);
                                rests_until = None;
                            }
                            // What was begun before the rest changes nothing any more.
                            None => prop_assert!(!was_probe || verdict == Verdict::Unknown),
                        }
                        probe = probe.filter(|_| !was_probe);
                    }
                }
            }
            // However it went: once the rest is over and the endpoint works, everybody may ask.
            now = now.after(CREDIBLE);
            if let Some(epoch) = probe {
                circuit.record(epoch, now, Verdict::Unknown, 0.0);
            }
            if let Some(epoch) = circuit.admit(now) {
                circuit.record(epoch, now, Verdict::Works, 0.0);
            }
            prop_assert!(circuit.is_closed());
        }
    }
}
