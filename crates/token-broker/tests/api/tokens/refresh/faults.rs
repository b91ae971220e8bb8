//! Crashes, pauses and a store that fails while a token is refreshed.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use hubkey_domain::refresh_state::RefreshTimes;
use hubkey_fakes::{
    fake_http::Pace,
    hostile_provider::{Endpoint, Rotation},
};

use crate::support::{
    probe::{CommitFault, Probe},
    refresh_stage::{ENDED, LEASE, Stage, token},
    world::WorldOptions,
};

/// A stage whose holders wait for no more than an instant.
async fn hasty() -> Stage {
    Stage::with(WorldOptions {
        renewal: RefreshTimes {
            send_within: Duration::from_millis(100),
            wait: Duration::from_secs(2),
            hold_pause: Duration::from_millis(20),
            ..RefreshTimes::default()
        },
        ..WorldOptions::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r4_a_broker_that_dies_with_the_answer_costs_one_more_try_at_most() {
    for (rotation, recovers) in [(Rotation::Lenient, true), (Rotation::Strict, false)] {
        let stage = Stage::new().await;
        stage.world.provider.grants().rotate(rotation);
        stage.world.provider.next_reply(Endpoint::Token, |reply| {
            reply.pace = Pace::After(Duration::from_mins(1));
        });
        stage.advance(ENDED);
        // A process of its own, as far as tasks go: none of them survives it.
        let process = tokio::runtime::Runtime::new().unwrap();
        let dying = stage.at(stage.world.replica());
        let id = stage.connection.id.clone();
        process.spawn(async move { dying.get_token(&id, 0).await });
        stage.until_asked(1).await;
        process.shutdown_background();
        stage.advance(LEASE);
        let answer = stage.get_token(0).await;
        if recovers {
            assert_ne!(token(&answer), stage.connection.access_token);
        } else {
            answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        }
        stage.get_token(0).await;
        assert_eq!(stage.uses().values().copied().max(), Some(2));
    }
}

#[tokio::test]
async fn security_r4_a_broker_that_dies_twice_ends_the_connection() {
    let stage = hasty().await;
    stage.world.provider.grants().rotate(Rotation::Lenient);
    stage.advance(ENDED);
    for uses in 1..=2 {
        if uses == 2 {
            // Whether the provider answers is asked first.
            stage.world.provider.next_reply(Endpoint::Token, |_| ());
        }
        stage.world.provider.next_reply(Endpoint::Token, |reply| {
            reply.pace = Pace::CutAfter(10);
        });
        // The intent is written down, and nothing after that.
        let deaf = Arc::new(Probe::new(stage.world.probe.inner()));
        let mut faults = vec![CommitFault::None];
        faults.extend([CommitFault::Lost; 4]);
        deaf.next_commits(&faults);
        let dying = stage.at(stage.world.replica_with(deaf));
        dying.get_token(&stage.connection.id, 0).await;
        assert_eq!(stage.asked(), uses);
        stage.advance(LEASE);
    }
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn security_r5_a_holder_that_stood_still_sends_nothing() {
    let stage = hasty().await;
    stage.advance(ENDED);
    let pause = Duration::from_millis(300);
    stage
        .world
        .probe
        .next_commits(&[CommitFault::Paused(pause)]);
    let late = stage.get_token(0).await;
    late.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    assert_eq!(stage.asked(), 0);
    stage.advance(LEASE);
    stage.token(0).await;
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn security_r5_a_holder_that_comes_back_late_overwrites_nothing() {
    let stage = hasty().await;
    stage.world.provider.grants().rotate(Rotation::Lenient);
    stage.world.provider.next_reply(Endpoint::Token, |reply| {
        reply.pace = Pace::After(Duration::from_millis(900));
    });
    stage.advance(ENDED);
    let slow = stage.at(stage.world.replica());
    let id = stage.connection.id.clone();
    let slow = tokio::spawn(async move { slow.get_token(&id, 0).await });
    stage.until_asked(1).await;
    stage.advance(LEASE);
    let recovered = stage.token(0).await;
    let late = slow.await.unwrap();
    assert_ne!(late.json()["access_token"], stage.connection.access_token);
    assert_eq!(stage.token(0).await, recovered);
    assert_eq!(stage.uses().values().copied().max(), Some(2));
}

#[tokio::test]
async fn security_r6_a_new_token_that_cannot_be_stored_is_served_and_stored_later() {
    let stage = hasty().await;
    stage.advance(ENDED);
    let (fine, lost) = (CommitFault::None, CommitFault::Lost);
    stage.world.probe.next_commits(&[fine, lost, lost, lost]);
    let fresh = stage.token(0).await;
    assert_ne!(fresh, stage.connection.access_token);
    stage.world.probe.set_down(true);
    assert_eq!(stage.token(0).await, fresh, "held in memory");
    let other = stage.at(stage.world.replica_with(stage.world.probe.inner()));
    stage.world.probe.set_down(false);
    let elsewhere = other.get_token(&stage.connection.id, 0).await;
    assert_eq!(token(&elsewhere), fresh, "stored at last");
    assert_eq!(stage.asked(), 1);
    let foreign = stage.world.kernel("mallory", "");
    let refused = foreign.get_token(&stage.connection.id, 0).await;
    refused.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn security_r6_a_held_token_is_nobody_elses() {
    let stage = hasty().await;
    stage.advance(ENDED);
    let mut faults = vec![CommitFault::None];
    faults.extend([CommitFault::Lost; 50]);
    stage.world.probe.next_commits(&faults);
    stage.token(0).await;
    for other in [
        stage.world.kernel("mallory", ""),
        stage.world.kernel("alice", ""),
    ] {
        let refused = other.get_token(&stage.connection.id, 0).await;
        refused.assert_problem(StatusCode::NOT_FOUND, "not_found");
    }
}

#[tokio::test]
async fn an_intent_that_may_not_be_written_down_sends_nothing() {
    for fault in [CommitFault::Lost, CommitFault::AnswerLost] {
        let stage = hasty().await;
        stage.advance(ENDED);
        stage.world.probe.next_commits(&[fault]);
        let failed = stage.get_token(0).await;
        failed.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
        assert_eq!(stage.asked(), 0, "{fault:?}");
        // It was withdrawn: nobody has to wait for the end of its lease.
        stage.token(0).await;
        assert_eq!(stage.asked(), 1);
    }
}

#[tokio::test]
async fn a_kernel_that_gives_up_does_not_stop_the_refresh() {
    let stage = Stage::new().await;
    stage.world.provider.next_reply(Endpoint::Token, |reply| {
        reply.pace = Pace::After(Duration::from_millis(200));
    });
    stage.advance(ENDED);
    let draw = stage.get_token(0);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), draw)
            .await
            .is_err()
    );
    let fresh = stage.token(0).await;
    assert_ne!(fresh, stage.connection.access_token);
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn security_q12_a_refresh_elsewhere_is_noticed_without_a_wake_up() {
    let stage = Stage::new().await;
    stage.world.provider.next_reply(Endpoint::Token, |reply| {
        reply.pace = Pace::After(Duration::from_millis(150));
    });
    stage.advance(ENDED);
    stage.world.probe.lose_wakeups(true);
    let replicas = [
        stage.at(stage.world.replica()),
        stage.at(stage.world.replica()),
    ];
    let draws = replicas
        .iter()
        .map(|replica| replica.get_token(&stage.connection.id, 0));
    let answers = futures_util::future::join_all(draws).await;
    assert_eq!(token(&answers[0]), token(&answers[1]));
    assert_eq!(stage.asked(), 1);
}
