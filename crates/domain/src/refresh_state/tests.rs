use super::*;

#[test]
fn a_refresh_token_is_tried_twice_at_most() {
    let (attempt, reason) = (1, BackoffReason::Unavailable);
    let until = Timestamp::from_millis(0);
    let resting = RefreshState::Resting {
        until,
        failures: 1,
        reason,
    };
    for (renewal, leased, free) in [
        (
            RefreshState::Idle,
            RefreshAction::Refresh,
            RefreshAction::Refresh,
        ),
        (resting, RefreshAction::Refresh, RefreshAction::Refresh),
        (
            RefreshState::Refreshing { attempt },
            RefreshAction::Wait,
            RefreshAction::Recover,
        ),
        (
            RefreshState::Unknown,
            RefreshAction::Wait,
            RefreshAction::Recover,
        ),
        (
            RefreshState::Recovering { attempt },
            RefreshAction::Wait,
            RefreshAction::GiveUp,
        ),
        (
            RefreshState::Ended,
            RefreshAction::Nothing,
            RefreshAction::Nothing,
        ),
    ] {
        assert_eq!(renewal.next(true), leased, "{renewal:?}");
        assert_eq!(renewal.next(false), free, "{renewal:?}");
    }
}

#[test]
fn security_r10_rests_grow_and_no_wrong_clock_prolongs_them() {
    let now = Timestamp::from_millis(1_000_000);
    let mut renewal = RefreshState::Idle;
    for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
        renewal = renewal.rest_again(now, BackoffReason::Unavailable, None, 1.0);
        let rest = renewal.rest(now).map(|(rest, _)| rest.as_secs());
        assert_eq!(rest, Some(expected));
    }
    let hour = Duration::from_hours(1);
    let asked = renewal.rest_again(now, BackoffReason::Misconfigured, Some(hour), 1.1);
    let rest = Some((CREDIBLE_REST, BackoffReason::Misconfigured));
    assert_eq!(asked.rest(now), rest);
    assert_eq!(asked.rest(now.after(CREDIBLE_REST)), None);
    let ahead = renewal.rest_again(now.after(hour), BackoffReason::Unavailable, None, 1.0);
    assert_eq!(ahead.rest(now), None);
}

#[test]
fn security_r10_a_clock_that_was_set_back_makes_no_token_valid_again() {
    let began = Timestamp::from_millis(10_000_000_000);
    let lifetime = Lifetime {
        obtained_at: began,
        expires_at: Some(began.after(Duration::from_mins(5))),
    };
    let back = Timestamp::from_millis(began.as_millis() - 3_600_000);
    assert!(!lifetime.is_valid_for(back, 1));
    assert_eq!(lifetime.seconds_left(back), 0);
    let refresh = TokenNeed::Refresh { usable: false };
    assert_eq!(lifetime.need(back, 0, 1.0), refresh);
    // Two replicas' clocks are never quite the same.
    let beside = Timestamp::from_millis(began.as_millis() - 59_000);
    assert_eq!(lifetime.need(beside, 0, 1.0), TokenNeed::Nothing);
    let ahead = began.after(Duration::from_hours(1));
    assert_eq!(lifetime.need(ahead, 0, 1.0), refresh);
}
