//! A provider that is away: it is left alone, tokens that are still valid are served, and nobody is signed out.

use std::time::Duration;

use futures_util::future::join_all;
use http::{StatusCode, header};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::Endpoint,
};

use crate::support::{
    kernel::{Connected, TestKernel},
    refresh_stage::{DUE, DUE_TO_ENDED, ENDED, LEASE, Stage, token},
    world::Answer,
};

/// More people than failures that are waited for.
const PEOPLE: usize = 12;
/// No rest after failures is longer.
const REST: Duration = Duration::from_secs(91);

/// Everybody's kernel and connection, beside Alice's.
async fn people(stage: &Stage) -> Vec<(TestKernel, Connected)> {
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("person-{number}");
        let kernel = stage.world.kernel(&name, "");
        stage.world.provider.sign_in_as(account(&name));
        let connection = stage.world.connect(&kernel, &name).await;
        people.push((kernel, connection));
    }
    stage.world.provider.forget_requests();
    people
}

fn account(name: &str) -> hubkey_fakes::hostile_provider::Account {
    hubkey_fakes::hostile_provider::Account::new(&format!("op-{name}"))
}

async fn get_all_tokens(people: &[(TestKernel, Connected)]) -> Vec<Answer> {
    let draws = people
        .iter()
        .map(|(kernel, connection)| kernel.get_token(&connection.id, 0));
    join_all(draws).await
}

fn hits(stage: &Stage) -> usize {
    stage.world.provider.hits(Endpoint::Token)
}

#[track_caller]
fn assert_waits(answer: &Answer) -> u64 {
    answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    let seconds = answer.headers[header::RETRY_AFTER].to_str().unwrap();
    seconds.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r11_a_provider_that_fails_is_left_alone_and_nobody_is_signed_out() {
    let stage = Stage::new().await;
    let people = people(&stage).await;
    let broken = Reply::new(StatusCode::BAD_GATEWAY);
    stage.world.provider.answer(Endpoint::Token, broken);
    stage.advance(DUE);
    for (kernel, connection) in &people {
        let served = kernel.get_token(&connection.id, 0).await;
        assert_eq!(token(&served), connection.access_token);
    }
    assert_eq!(hits(&stage), 5, "failures open the circuit");
    let listed = stage.kernel.send(http::Method::GET, "/v1/providers", None);
    assert_eq!(listed.await.json()["providers"][0]["status"], "unavailable");

    stage.advance(DUE_TO_ENDED);
    // After the rest one caller asks for all, with a refresh token that never was.
    for answer in get_all_tokens(&people).await {
        answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    }
    assert_eq!(hits(&stage), 6);
    let (kernel, connection) = people.last().unwrap();
    let wait = assert_waits(&kernel.get_token(&connection.id, 0).await);
    assert!((1..=17).contains(&wait), "{wait}");
    assert_eq!(hits(&stage), 6, "it fails fast");
    assert!(stage.uses().values().all(|uses| *uses == 1));
    assert_eq!(stage.asked(), 5, "refresh tokens that were risked");

    stage.be_honest();
    stage.advance(REST);
    for (kernel, connection) in &people {
        let fresh = kernel.get_token(&connection.id, 0).await;
        assert_ne!(token(&fresh), connection.access_token);
    }
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r11_one_asks_for_all_when_a_rest_is_over() {
    let stage = Stage::new().await;
    let people = people(&stage).await;
    stage.world.provider.set_up(false);
    stage.advance(ENDED);
    for answer in get_all_tokens(&people).await {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    stage.world.provider.set_up(true);
    stage.world.provider.forget_requests();
    stage.world.provider.next_reply(Endpoint::Token, |reply| {
        reply.pace = Pace::After(Duration::from_millis(1500));
    });
    stage.advance(REST);
    let answers = get_all_tokens(&people).await;
    let tokens = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK);
    assert_eq!(
        tokens.count(),
        1,
        "who asked goes on, the others come again"
    );
    assert_eq!(hits(&stage), 2, "a probe and a refresh");
    stage.advance(REST);
    for answer in get_all_tokens(&people).await {
        token(&answer);
    }
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn security_r11_grants_that_are_gone_are_no_outage() {
    let stage = Stage::new().await;
    let people = people(&stage).await;
    stage.world.provider.grants().end();
    stage.advance(ENDED);
    for (kernel, connection) in &people {
        let gone = kernel.get_token(&connection.id, 0).await;
        gone.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    }
    assert_eq!(hits(&stage), PEOPLE, "each was asked for");
    stage.world.provider.sign_in_as(account("alice"));
    stage.world.connect(&stage.kernel, "alice").await;
}

/// Everything else of the provider works: only the token endpoint can say whether the last try is worth it.
#[tokio::test]
async fn security_r4_a_token_endpoint_that_stays_broken_costs_no_sign_in() {
    let stage = Stage::new().await;
    let broken = Reply::new(StatusCode::INTERNAL_SERVER_ERROR);
    stage.world.provider.answer(Endpoint::Token, broken);
    stage.advance(ENDED);
    for _ in 0..8 {
        let down = stage.get_token(0).await;
        assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
        stage.advance(LEASE);
    }
    assert_eq!(stage.asked(), 1, "nothing is risked twice");
    stage.be_honest();
    stage.advance(REST);
    stage.token(0).await;
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn security_r3_no_code_is_sent_to_a_provider_that_is_left_alone() {
    let stage = Stage::new().await;
    let people = people(&stage).await;
    let broken = Reply::new(StatusCode::BAD_GATEWAY);
    stage.world.provider.answer(Endpoint::Token, broken);
    stage.advance(ENDED);
    get_all_tokens(&people).await;
    stage.advance(REST);
    stage.world.provider.forget_requests();
    let kernel = stage.world.kernel("zoe", "");
    let sign_in = kernel.open().await;
    let reply = stage.world.browser("zoe").sign_in(&sign_in).await;
    assert_eq!(reply.kind(), "view", "{reply:?}");
    assert_eq!(kernel.state(&sign_in).await, "failed");
    let codes = stage.world.provider.requests(Endpoint::Token);
    let codes = codes
        .iter()
        .filter(|sent| sent.form_value("code").is_some());
    assert_eq!((codes.count(), hits(&stage)), (0, 1));
}

#[tokio::test]
async fn found_a10_a_rest_is_said_before_anybody_leaves_for_the_provider() {
    let stage = Stage::new().await;
    let provider = &stage.world.provider;
    provider.answer(Endpoint::Token, Reply::new(StatusCode::BAD_GATEWAY));
    // Until the endpoint is left alone: each of these spends a code.
    for number in 0..5 {
        let user = format!("user-{number}");
        let sign_in = stage.world.kernel(&user, "").open().await;
        stage.world.browser(&user).sign_in(&sign_in).await;
    }
    let (spent, left) = (hits(&stage), provider.hits(Endpoint::Authorize));
    let bob = stage.world.kernel("bob", "");
    let sign_in = bob.open().await;
    let mut browser = stage.world.browser("bob");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let reply = browser.hub_callback(&back).await;
    assert_ne!(reply.kind(), "redirect", "{reply:?}");
    assert_eq!(provider.hits(Endpoint::Authorize), left, "nobody left");
    assert_eq!(hits(&stage), spent, "nothing was asked");
    let told = bob.poll(&sign_in).await.json();
    assert_eq!(told["status"], "failed");
    assert_eq!(told["reason"], "provider_unavailable");

    stage.be_honest();
    stage.advance(REST);
    provider.sign_in_as(account("bob"));
    stage.world.connect(&bob, "bob").await;
}
