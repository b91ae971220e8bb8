use super::*;

#[test]
fn a_refresh_token_is_tried_twice_at_most() {
    let (attempt, trouble) = (1, Trouble::Unavailable);
    let until = Timestamp::from_millis(0);
    let resting = Renewal::Resting {
        until,
        failures: 1,
        trouble,
    };
    for (renewal, leased, free) in [
        (Renewal::Idle, Next::Refresh, Next::Refresh),
        (resting, Next::Refresh, Next::Refresh),
        (Renewal::Refreshing { attempt }, Next::Wait, Next::Recover),
        (Renewal::Unknown, Next::Wait, Next::Recover),
        (Renewal::Recovering { attempt }, Next::Wait, Next::GiveUp),
        (Renewal::Ended, Next::Nothing, Next::Nothing),
    ] {
        assert_eq!(renewal.next(true), leased, "{renewal:?}");
        assert_eq!(renewal.next(false), free, "{renewal:?}");
    }
}

#[test]
fn security_r10_rests_grow_and_no_wrong_clock_prolongs_them() {
    let now = Timestamp::from_millis(1_000_000);
    let mut renewal = Renewal::Idle;
    for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
        renewal = renewal.rest_again(now, Trouble::Unavailable, None, 1.0);
        let rest = renewal.rest(now).map(|(rest, _)| rest.as_secs());
        assert_eq!(rest, Some(expected));
    }
    let hour = Duration::from_hours(1);
    let asked = renewal.rest_again(now, Trouble::Misconfigured, Some(hour), 1.1);
    let rest = Some((CREDIBLE_REST, Trouble::Misconfigured));
    assert_eq!(asked.rest(now), rest);
    assert_eq!(asked.rest(now.after(CREDIBLE_REST)), None);
    let ahead = renewal.rest_again(now.after(hour), Trouble::Unavailable, None, 1.0);
    assert_eq!(ahead.rest(now), None);
}
