//! `GET /v1/sign-ins/{nonce}`: delivery, repeated until it is acknowledged.

use std::time::Duration;

use http::StatusCode;
use hubkey_domain::provider::ConnectionScope;
use serde_json::json;
use tokio::time::sleep;

use crate::support::{
    attempt::{Attempt, opened_by},
    kernel::{TestKernel, connected},
    world::{World, WorldOptions},
};

/// Long enough for a poll that was started to wait.
const A_MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn security_r16_a_lost_result_is_repeated_with_the_same_bytes() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    world.browser("alice").sign_in(&sign_in).await;
    let first = kernel.poll(&sign_in).await;
    assert_eq!(first.json()["status"], "connected");
    world.clock.advance(Duration::from_secs(100));
    for _ in 0..3 {
        assert_eq!(kernel.poll(&sign_in).await, first);
    }
    let replica = TestKernel::new(world.replica(), kernel.token.clone());
    assert_eq!(replica.poll(&sign_in).await, first, "by any replica");
    assert!(trail.has("token_delivered"));
}

#[tokio::test]
async fn security_r16_after_two_minutes_the_result_is_not_repeated() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.browser("alice").sign_in(&sign_in).await;
    let first = kernel.poll(&sign_in).await;
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(kernel.poll(&sign_in).await, first);
    world.clock.advance(Duration::from_millis(1));
    let late = kernel.poll(&sign_in).await;
    late.assert_problem(StatusCode::GONE, "already_delivered");
    let list = kernel.connections().await;
    assert_eq!(list[0]["id"], connected(&first.json()).id);
}

#[tokio::test]
async fn security_r16_nothing_is_delivered_before_a_person_signed_in() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let answer = kernel.poll(&sign_in).await;
    assert_eq!(
        answer.json(),
        json!({"status": "pending", "retry_after_ms": 0})
    );
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    assert_eq!(kernel.state(&sign_in).await, "pending");
    let back = browser.at_provider(leaving.location()).await;
    browser.callback("lab-api", &back).await;
    assert_eq!(
        kernel.state(&sign_in).await,
        "pending",
        "the person did not confirm"
    );
}

#[tokio::test]
async fn security_r17_the_newest_poll_wins() {
    let world = World::with(WorldOptions {
        poll_timeout: Duration::from_secs(10),
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let older = kernel.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    let newer = kernel.start_poll(&sign_in);
    let superseded = older.await.unwrap();
    superseded.assert_problem(StatusCode::CONFLICT, "superseded");
    world.browser("alice").sign_in(&sign_in).await;
    assert_eq!(newer.await.unwrap().json()["status"], "connected");
}

#[tokio::test]
async fn security_r17_the_newest_poll_wins_across_replicas() {
    let world = World::with(WorldOptions {
        poll_timeout: Duration::from_secs(10),
        ..WorldOptions::default()
    })
    .await;
    let here = world.kernel("alice", "");
    let there = TestKernel::new(world.replica(), here.token.clone());
    let sign_in = here.open().await;
    let older = here.start_poll(&sign_in);
    sleep(A_MOMENT).await;
    let newer = there.start_poll(&sign_in);
    let superseded = older.await.unwrap();
    superseded.assert_problem(StatusCode::CONFLICT, "superseded");
    world.browser("alice").sign_in(&sign_in).await;
    let ready = newer.await.unwrap();
    assert_eq!(ready.json()["status"], "connected");
    let acknowledged = here.acknowledge(&sign_in).await;
    assert_eq!(acknowledged.status, StatusCode::NO_CONTENT, "by either");
}

#[tokio::test]
async fn a_sign_in_that_nobody_finished_ends_after_ten_minutes() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.clock.advance(Duration::from_millis(599_999));
    assert_eq!(kernel.state(&sign_in).await, "pending");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(kernel.state(&sign_in).await, "expired");
    let late = world.browser("alice").start(sign_in.ticket()).await;
    assert_eq!(late.refusal(), "invalid_link");
    world.clock.advance(Duration::from_mins(3));
    let forgotten = kernel.poll(&sign_in).await;
    forgotten.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn two_cells_that_connect_at_once_complete_each_other() {
    let world = World::with(WorldOptions {
        poll_timeout: Duration::from_secs(10),
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let (one, other) = (kernel.open().await, kernel.open().await);
    let wider = kernel
        .open_with(&json!({"scopes": ["projects:write"]}))
        .await;
    let elsewhere = world.kernel("alice", "gpu");
    let foreign = elsewhere.open().await;
    let waiting = kernel.start_poll(&other);
    sleep(A_MOMENT).await;
    world.browser("alice").sign_in(&one).await;
    let completed = waiting.await.unwrap();
    assert_eq!(
        completed.json()["status"],
        "connected",
        "{}",
        completed.json()
    );
    assert_eq!(connected(&completed.json()), kernel.collect(&one).await);
    let link = world.browser("alice").start(other.ticket()).await;
    assert_eq!(link.refusal(), "invalid_link");
    for (kernel, sign_in) in [(&kernel, &wider), (&elsewhere, &foreign)] {
        let still = kernel.start_poll(sign_in);
        sleep(A_MOMENT).await;
        assert!(!still.is_finished(), "what it does not satisfy waits on");
        still.abort();
    }
}

#[tokio::test]
async fn feature_a12_two_providers_at_once_never_mix() {
    for sharing in [ConnectionScope::Server, ConnectionScope::SignIn] {
        let world = World::with(WorldOptions {
            providers: vec!["lab-api", "cloud"],
            connection_scope: sharing,
            ..WorldOptions::default()
        })
        .await;
        let kernel = world.kernel("alice", "");
        let lab = kernel.open_with(&json!({"provider": "lab-api"})).await;
        let cloud = kernel
            .open_with(&json!({"provider": "cloud", "audience": "https://api.example.org"}))
            .await;
        // One browser, in turns.
        let mut browser = world.browser("alice");
        let to_lab = browser.go_to_provider(&lab).await;
        let to_cloud = browser.go_to_provider(&cloud).await;
        let from_cloud = browser.at_provider(to_cloud.location()).await;
        let from_lab = browser.at_provider(to_lab.location()).await;
        browser.come_back("cloud", &from_cloud).await;
        assert_eq!(kernel.state(&lab).await, "pending");
        browser.come_back("lab-api", &from_lab).await;
        let mut tokens = Vec::new();
        for (sign_in, provider) in [(&lab, "lab-api"), (&cloud, "cloud")] {
            let ready = kernel.poll(sign_in).await.json();
            assert_eq!(ready["connection"]["provider"], provider);
            let connection = connected(&ready);
            let token_answer = kernel.get_token(&connection.id, 1).await;
            assert_eq!(token_answer.json()["access_token"], connection.access_token);
            tokens.push(connection.access_token);
        }
        assert_ne!(tokens[0], tokens[1]);
    }
}

#[tokio::test]
async fn need_8_a_result_is_of_one_user_one_server_and_one_sign_in() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.browser("alice").sign_in(&sign_in).await;
    let before = world.traces();
    for other in [world.kernel("mallory", ""), world.kernel("alice", "gpu")] {
        let own = other.open().await;
        let answers = [
            other.poll(&sign_in).await,
            other.poll_as(&sign_in.nonce, &own.poll_secret).await,
            other.poll_as(&own.nonce, &sign_in.poll_secret).await,
            other.acknowledge(&sign_in).await,
            other.cancel(&sign_in).await,
        ];
        for answer in answers {
            answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
        }
    }
    let opened = 2 * 2;
    assert_eq!(world.probe.commits(), before.commits + opened);
    kernel.collect(&sign_in).await;
}
