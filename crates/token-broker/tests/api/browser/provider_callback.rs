//! `POST /internal/v1/callback/{provider}`: a browser comes back from a provider. Who may bring a code back.

use std::time::Duration;

use futures_util::future::join_all;
use hubkey_fakes::{
    hostile_provider::{Account, Endpoint},
    scripted_hub::{Fault, HubEndpoint, models},
};
use serde_json::json;

use crate::support::{
    attempt::{Attempt, Refused, opened_by},
    audit::AuditTrail,
    browser::{ask, parameter},
    outcome::{assert_no_connection, assert_refused, assert_told, exchanges, failure, returning},
    world::World,
};

#[tokio::test]
async fn security_b2_a_forwarded_authorize_url_gives_its_sender_nothing() {
    let attempt = Attempt::begin("mallory").await;
    let captured = attempt
        .browser("mallory")
        .go_to_provider(&attempt.sign_in)
        .await;
    let mut alice = attempt.browser("alice");
    let back = alice.at_provider(captured.location()).await;
    let reply = alice.callback("lab-api", &back).await;
    attempt.assert_denied(&reply, "policy_denied").await;
    assert_no_connection(&attempt.kernel).await;
}

#[tokio::test]
async fn security_b2_a_flow_cookie_of_the_victims_own_does_not_help() {
    let attempt = Attempt::begin("mallory").await;
    let hers = attempt.world.kernel("alice", "");
    let her_sign_in = hers.open().await;
    let captured = attempt
        .browser("mallory")
        .go_to_provider(&attempt.sign_in)
        .await;
    let mut alice = attempt.browser("alice");
    alice.go_to_provider(&her_sign_in).await;
    let back = alice.at_provider(captured.location()).await;
    let mut body = alice.returned(&back);
    body["flow_cookie"] = json!(alice.cookies[&her_sign_in.nonce[..6]]);
    let reply = alice.ask("callback/lab-api", &body).await;
    attempt.assert_denied(&reply, "policy_denied").await;
    assert_eq!(hers.state(&her_sign_in).await, "pending");
}

#[tokio::test]
async fn security_b3_a_second_profile_of_the_same_person_is_another_browser() {
    let attempt = Attempt::begin("alice").await;
    let back = returning(&mut attempt.browser("alice"), &attempt.sign_in).await;
    let reply = attempt.browser("alice").callback("lab-api", &back).await;
    attempt.assert_denied(&reply, "policy_denied").await;
}

#[tokio::test]
async fn security_b3_a_hub_logout_in_between_ends_a_copied_cookie_too() {
    let attempt = Attempt::begin("alice").await;
    let mut first = attempt.browser("alice");
    let back = returning(&mut first, &attempt.sign_in).await;
    attempt.world.hub.log_out("alice");
    let mut thief = attempt.browser("alice");
    thief.cookies = first.cookies.clone();
    let reply = thief.callback("lab-api", &back).await;
    attempt.assert_denied(&reply, "hub_user_mismatch").await;
    assert!(thief.cookies.is_empty());
}

#[tokio::test]
async fn security_b6_another_hub_user_at_the_callback_destroys_the_flow() {
    let attempt = Attempt::begin("alice").await;
    let mut browser = attempt.browser("alice");
    let back = returning(&mut browser, &attempt.sign_in).await;
    let cookies = browser.cookies.clone();
    attempt
        .world
        .hub
        .alter_browser_models(|model| *model = models::browser("mallory"));
    let reply = browser.callback("lab-api", &back).await;
    attempt.assert_denied(&reply, "hub_user_mismatch").await;
    assert!(browser.cookies.is_empty());
    browser.cookies = cookies;
    let gone = browser.view(&attempt.sign_in.nonce[..6]).await;
    assert_refused(&gone, "invalid_link");
}

#[tokio::test]
async fn security_i6_without_the_hub_no_code_is_redeemed() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    world.hub.fault(Fault::Down);
    let reply = browser.callback("lab-api", &back).await;
    let ended = browser.view(reply.flow()).await;
    assert_eq!(ended.page()["page"], "ended");
    world.hub.fault(Fault::None);
    assert_eq!(failure(&kernel, &sign_in).await, "hub_unavailable");
    assert_eq!(exchanges(&world), 0);
    assert_told(&trail, "hub_unavailable");
}

#[tokio::test]
async fn security_b7_mallorys_state_and_code_do_nothing_in_alices_browser() {
    let attempt = Attempt::begin("mallory").await;
    attempt
        .world
        .provider
        .sign_in_as(Account::new("op-mallory"));
    let back = returning(&mut attempt.browser("mallory"), &attempt.sign_in).await;
    let reply = attempt.browser("alice").callback("lab-api", &back).await;
    attempt.assert_denied(&reply, "policy_denied").await;
}

/// Alice's browser comes back with her own state and a code that mallory got; gives the failure that her kernel sees.
async fn injected(trail: &AuditTrail, world: &World) -> String {
    let (hers, his) = (world.kernel("alice", ""), world.kernel("mallory", ""));
    let (her_sign_in, his_sign_in) = (hers.open().await, his.open().await);
    world.provider.sign_in_as(Account::new("op-mallory"));
    let foreign = returning(&mut world.browser("mallory"), &his_sign_in).await;
    world.provider.sign_in_as(Account::new("op-alice"));
    let mut alice = world.browser("alice");
    let back = returning(&mut alice, &her_sign_in).await;
    let mut body = alice.returned(&back);
    body["code"] = json!(parameter(&foreign, "code"));
    let reply = alice.ask("callback/lab-api", &body).await;
    let ended = alice.view(reply.flow()).await;
    assert_eq!(ended.page()["page"], "ended", "{ended:?}");
    assert_eq!(exchanges(world), 1);
    assert_told(trail, "provider_failed");
    assert!(!trail.has("token_issued"));
    assert_no_connection(&hers).await;
    assert_no_connection(&his).await;
    failure(&hers, &her_sign_in).await
}

#[tokio::test]
async fn security_b7_p16_pkce_refuses_a_foreign_code_with_an_own_state() {
    let (trail, world) = (AuditTrail::begin(), World::new().await);
    assert_eq!(injected(&trail, &world).await, "code_expired");
}

#[tokio::test]
async fn security_b7_p16_the_nonce_catches_what_a_provider_without_pkce_lets_through() {
    let (trail, world) = (AuditTrail::begin(), World::new().await);
    world.provider.capabilities().ignore_pkce();
    assert_eq!(injected(&trail, &world).await, "provider_protocol_error");
}

#[tokio::test]
async fn security_i4_of_twenty_parallel_callbacks_one_redeems() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let body = browser.returned(&back);
    let replies = join_all((0..20).map(|_| ask(&world, "callback/lab-api", &body))).await;
    let taken = replies.iter().filter(|reply| reply.kind() == "view");
    assert_eq!(taken.count(), 1);
    let refused = replies.iter().filter(|reply| reply.kind() == "refused");
    refused.for_each(|reply| assert_refused(reply, "forbidden"));
    assert_eq!(exchanges(&world), 1);
    let page = browser.view(&sign_in.nonce[..6]).await;
    browser.decide("confirm", &page, "accept").await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
}

#[tokio::test]
async fn feature_c1_security_p5_a_state_that_is_unknown_used_or_expired_stores_nothing() {
    let attempt = Attempt::begin("alice").await;
    let mut browser = attempt.browser("alice");
    let back = returning(&mut browser, &attempt.sign_in).await;
    let right = browser.returned(&back);
    let short = &attempt.sign_in.nonce[..6];
    for state in [
        "",
        "x",
        &format!("{short}.{}", "A".repeat(43)),
        &"y".repeat(5000),
    ] {
        let mut body = right.clone();
        body["state"] = json!(state);
        let reply = browser.ask("callback/lab-api", &body).await;
        attempt.assert_unharmed(&reply, "policy_denied").await;
    }
    attempt.world.clock.advance(Duration::from_mins(10));
    let reply = browser.ask("callback/lab-api", &right).await;
    let refusal = reply.refusal().to_owned();
    assert!(
        ["invalid_link", "forbidden"].contains(&&*refusal),
        "{reply:?}"
    );
    let refused = Refused {
        refusal: &refusal,
        state: "expired",
        event: "policy_denied",
    };
    attempt.assert_refused(&reply, refused).await;
    assert_no_connection(&attempt.kernel).await;
}

#[tokio::test]
async fn security_i4_a_state_is_used_once() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    assert_eq!(browser.callback("lab-api", &back).await.kind(), "view");
    for _ in 0..3 {
        assert_refused(&browser.callback("lab-api", &back).await, "forbidden");
    }
    assert_eq!(exchanges(&world), 1);
    // What was replayed does not end what goes on.
    let page = browser.view(&sign_in.nonce[..6]).await;
    browser.decide("confirm", &page, "accept").await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
}

#[tokio::test]
async fn security_q15_a_cancelled_sign_in_is_not_finished_by_its_browser() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    kernel.cancel(&sign_in).await;
    assert_refused(&browser.callback("lab-api", &back).await, "invalid_link");
    assert_eq!(exchanges(&world), 0);
    assert_eq!(kernel.state(&sign_in).await, "denied");
}

#[tokio::test]
async fn security_b3_the_hub_is_asked_again_before_each_code_is_redeemed() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let asked = world.hub.hits(HubEndpoint::User);
    browser.callback("lab-api", &back).await;
    assert_eq!(world.hub.hits(HubEndpoint::User), asked + 1);
    assert_eq!(world.provider.hits(Endpoint::Token), 1);
}
