//! How a waiting poll learns that it may end (ADR 54).

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::support::world::{World, WorldOptions};

const A_MOMENT: Duration = Duration::from_millis(50);

async fn world(hold: Duration, safety: Duration) -> World {
    World::with(WorldOptions {
        poll_timeout: hold,
        poll_recheck_interval: safety,
        ..WorldOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_finished_sign_in_ends_its_poll_at_once() {
    let minute = Duration::from_mins(1);
    let world = world(minute, minute).await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let poll = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    world.browser("alice").sign_in(&sign_in).await;
    let finished = Instant::now();
    let answer = poll.await.unwrap();
    assert_eq!(answer.json()["status"], "connected");
    let took = finished.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "woken after {took:?}, not by the safety read"
    );
}

#[tokio::test]
async fn a_cancelled_sign_in_ends_its_poll_at_once() {
    let minute = Duration::from_mins(1);
    let world = world(minute, minute).await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let poll = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    kernel.cancel(&sign_in).await;
    let finished = Instant::now();
    assert_eq!(poll.await.unwrap().json()["status"], "denied");
    assert!(finished.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn security_q12_a_lost_wakeup_costs_no_more_than_the_safety_read() {
    let safety = Duration::from_millis(500);
    let world = world(Duration::from_mins(1), safety).await;
    world.probe.lose_wakeups(true);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let poll = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    world.browser("alice").sign_in(&sign_in).await;
    let finished = Instant::now();
    assert_eq!(poll.await.unwrap().json()["status"], "connected");
    assert!(finished.elapsed() < safety + Duration::from_secs(2));
}

/// Nobody wakes a poll because time passed.
#[tokio::test]
async fn a_poll_whose_wakeup_was_lost_is_answered_at_its_sign_ins_end() {
    let minute = Duration::from_mins(1);
    let world = world(minute, minute).await;
    world.probe.lose_wakeups(true);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let left = Duration::from_millis(700);
    // Of its ten minutes.
    world.clock.advance(Duration::from_millis(599_300));
    let poll = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    world.clock.advance(left);
    let begun = Instant::now();
    assert_eq!(poll.await.unwrap().json()["status"], "expired");
    let took = begun.elapsed();
    assert!(took < left + Duration::from_secs(2), "{took:?}");
}

/// Proves that the wake-ups of this file are lost where they are said to be, and that the next poll finds out anyway.
#[tokio::test]
async fn security_q12_without_wakeup_and_safety_read_the_next_poll_finds_the_result() {
    let world = world(Duration::from_millis(1500), Duration::from_mins(1)).await;
    world.probe.lose_wakeups(true);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let poll = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    world.browser("alice").sign_in(&sign_in).await;
    assert_eq!(poll.await.unwrap().json()["status"], "pending");
    assert_eq!(kernel.state(&sign_in).await, "connected");
}

#[tokio::test]
async fn a_poll_ends_by_itself_after_its_hold() {
    let hold = Duration::from_millis(400);
    let world = world(hold, Duration::from_mins(1)).await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let begun = Instant::now();
    assert_eq!(kernel.state(&sign_in).await, "pending");
    let took = begun.elapsed();
    assert!(took >= hold.mul_f64(0.9), "{took:?}");
    assert!(took < hold + Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_process_that_ends_lets_its_polls_go_as_pending() {
    let minute = Duration::from_mins(1);
    let world = world(minute, minute).await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let poll = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    let stopping = Instant::now();
    world.backends.stopping.cancel();
    assert_eq!(poll.await.unwrap().json()["status"], "pending");
    assert_eq!(
        kernel.state(&sign_in).await,
        "pending",
        "and takes no new ones up"
    );
    assert!(stopping.elapsed() < Duration::from_secs(2));
}
