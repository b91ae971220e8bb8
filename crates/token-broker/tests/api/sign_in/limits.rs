//! How much one hub user may open, and that it costs nobody else (rules Q5, Q8, Q9).

use std::time::Duration;

use http::{Method, StatusCode, header};
use hubkey_domain::{random::RandomSource, user_index::OpenLimits};
use hubkey_protocol::{ConnectionId, Nonce, ShortId};
use hubkey_token_broker::system::SystemRandom;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    attempt::opened_by,
    kernel::{Opened, TestKernel},
    world::{Answer, World, WorldOptions},
};

fn wait_of(answer: &Answer) -> u64 {
    let text = answer.headers[header::RETRY_AFTER].to_str().unwrap();
    text.parse().expect("seconds")
}

#[tokio::test]
async fn security_q8_ten_open_sign_ins_are_the_most_and_only_of_their_own_user() {
    let world = World::new().await;
    let mallory = world.kernel("mallory", "");
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(mallory.open().await);
    }
    let commits = world.probe.commits();
    for kernel in [&mallory, &world.kernel("mallory", "gpu")] {
        let answer = kernel.create(&json!({})).await;
        answer.assert_problem(StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins");
        assert_eq!(wait_of(&answer), 600, "when the first one ends by itself");
    }
    assert_eq!(world.probe.commits(), commits);
    world.kernel("alice", "").open().await;
    let ended = mallory.cancel(&open[0]).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    mallory.open().await;
    let again = mallory.create(&json!({})).await;
    again.assert_problem(StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins");
    world.clock.advance(Duration::from_mins(10));
    mallory.open().await;
}

#[tokio::test]
async fn security_q8_a_finished_sign_in_makes_room_for_another() {
    let world = World::with(WorldOptions {
        open: OpenLimits {
            open: 1,
            per_minute: 30,
        },
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    world.connect(&kernel, "alice").await;
    kernel
        .open_with(&json!({"scopes": ["projects:write"]}))
        .await;
}

#[tokio::test]
async fn security_q8_thirty_sign_ins_a_minute_are_the_most() {
    let world = World::new().await;
    let mallory = world.kernel("mallory", "");
    for _ in 0..30 {
        let sign_in = mallory.open().await;
        mallory.cancel(&sign_in).await;
    }
    world.clock.advance(Duration::from_millis(500));
    let commits = world.probe.commits();
    let answer = mallory.create(&json!({})).await;
    answer.assert_problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    assert_eq!(world.probe.commits(), commits);
    world.kernel("alice", "").open().await;
    world.clock.advance(Duration::from_secs(wait_of(&answer)));
    mallory.open().await;
}

#[tokio::test]
async fn security_q5_of_a_hundred_polls_of_one_sign_in_one_lives() {
    let world = World::with(WorldOptions {
        poll_timeout: Duration::from_mins(1),
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut polls: JoinSet<_> = (0..100).map(|_| kernel.poll_of(&sign_in)).collect();
    for _ in 0..99 {
        let answer = polls.join_next().await.expect("a poll").unwrap();
        answer.assert_problem(StatusCode::CONFLICT, "superseded");
    }
    world.backends.stopping.cancel();
    let last = polls.join_next().await.expect("the last poll").unwrap();
    assert_eq!(last.json()["status"], "pending");
}

#[tokio::test]
async fn security_q5_more_polls_than_a_replica_holds_are_sent_away() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let all = world.backends.polls.available_permits();
    let taken = world
        .backends
        .polls
        .try_acquire_many(u32::try_from(all).unwrap());
    let commits = world.probe.commits();
    let answer = kernel.poll(&sign_in).await;
    answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
    assert_eq!(world.probe.commits(), commits);
    drop(taken);
    assert_eq!(kernel.state(&sign_in).await, "pending");
}

/// One answer for all, or the test ends.
async fn same(kernel: &TestKernel, nonces: &[(String, String)]) -> Answer {
    let mut expected: Option<Answer> = None;
    for (at, (nonce, secret)) in nonces.iter().enumerate() {
        let answer = kernel.poll_as(nonce, secret).await;
        let expected = expected.get_or_insert_with(|| answer.clone());
        assert_eq!(answer, *expected, "{at}");
    }
    expected.expect("at least one")
}

fn guess() -> (String, String) {
    let chance: &dyn RandomSource = &SystemRandom;
    let nonce = chance.nonce(&chance.short_id());
    (nonce.as_str().to_owned(), "a".repeat(43))
}

#[tokio::test]
async fn security_q9_two_thousand_guesses_learn_nothing() {
    let world = World::new().await;
    let (alice, mallory) = (world.kernel("alice", ""), world.kernel("mallory", ""));
    let used = alice.open().await;
    world.browser("alice").sign_in(&used).await;
    let consumed = alice.collect(&used).await;
    let expired = alice
        .open_with(&json!({"scopes": ["projects:write"]}))
        .await;
    let mine_expired = mallory.open().await;
    world.clock.advance(Duration::from_hours(1));
    let open = alice
        .open_with(&json!({"scopes": ["projects:write"]}))
        .await;
    let short = ShortId::of(&open.nonce).unwrap();
    let neighbour = Opened {
        nonce: Nonce::from_random(&short, [7; 16]).as_str().to_owned(),
        ..open.clone()
    };
    let known = [open, used, expired, mine_expired, neighbour];
    let mut nonces: Vec<_> = known
        .into_iter()
        .map(|sign_in| (sign_in.nonce, sign_in.poll_secret))
        .collect();
    nonces.extend((0..2000).map(|_| guess()));
    let before = world.traces();
    let polled = same(&mallory, &nonces).await;
    polled.assert_problem(StatusCode::NOT_FOUND, "not_found");
    for id in [
        consumed.id.as_str(),
        "abcdef.AAAAAAAAAAAAAAAAAAAAAA",
        "nonsense",
    ] {
        assert_eq!(mallory.get_token(id, 0).await, polled, "{id}");
    }
    let id = ConnectionId::from_random(&short, [8; 16]);
    assert_eq!(mallory.get_token(id.as_str(), 0).await, polled);
    assert_eq!(world.traces(), before);
    let elsewhere = mallory.send(Method::GET, "/v1/nothing", None).await;
    assert_eq!(elsewhere.bytes, polled.bytes);
}
