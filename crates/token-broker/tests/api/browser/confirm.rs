//! `POST /internal/v1/confirm`: a person says whether two accounts belong together.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use hubkey_fakes::{
    hostile_provider::Account,
    scripted_hub::{Fault, models},
};
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    browser::ask,
    kernel::{Opened, TestKernel},
    outcome::{
        assert_no_connection, assert_refused, assert_told, confirmation, exchanges, link_account,
        returning, revoked,
    },
    probe::CommitFault,
    world::World,
};

async fn opened(world: &World, user: &str) -> (TestKernel, Opened) {
    let kernel = world.kernel(user, "");
    let sign_in = kernel.open().await;
    (kernel, sign_in)
}

#[tokio::test]
async fn security_b4_a_planted_flow_does_not_get_a_pinned_account_of_another_user() {
    let world = World::new().await;
    link_account(&world, "alice", "op-alice").await;
    let trail = AuditTrail::begin();
    let (kernel, sign_in) = opened(&world, "mallory").await;
    // Alice's browser, with mallory's Hub and flow cookies in it, and her own session at the provider.
    let mut browser = world.browser("mallory");
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "ended");
    assert_eq!(page.page()["reason"], "account_refused");
    assert!(!page.0.to_string().contains("alice"), "{page:?}");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_no_connection(&kernel).await;
    assert_told(&trail, "account_link_conflict");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn security_b4_a_planted_flow_with_an_unpinned_account_names_its_hub_user() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "mallory").await;
    let mut browser = world.browser("mallory");
    let page = confirmation(&mut browser, &sign_in).await;
    assert_eq!(page.page()["user"], "mallory");
    assert!(
        page.page()["account"]
            .as_str()
            .unwrap()
            .contains("op-alice")
    );
    assert_eq!(kernel.state(&sign_in).await, "pending");
    assert_no_connection(&kernel).await;
    let connections = kernel.send(Method::GET, "/v1/connections", None).await;
    assert_eq!(connections.json()["connections"], json!([]));
    assert!(!trail.has("token_issued") && !trail.has("token_delivered"));
    // She sees that it is not hers.
    browser.decide("confirm", &page, "cancel").await;
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn security_b8_another_account_asks_again_and_cancel_stores_nothing() {
    let world = World::new().await;
    link_account(&world, "alice", "op-alice").await;
    let trail = AuditTrail::begin();
    let (kernel, sign_in) = opened(&world, "alice").await;
    world.provider.sign_in_as(Account::new("op-alice-2"));
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    assert_eq!(page.page()["replaces_account"], true);
    browser.decide("confirm", &page, "cancel").await;
    let ended = browser.view(&sign_in.nonce[..6]).await;
    assert_eq!(ended.page()["reason"], "cancelled");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_no_connection(&kernel).await;
    assert_told(&trail, "account_confirmation_cancelled");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);

    // The account link is what it was: the first account fits without a question.
    world.provider.sign_in_as(Account::new("op-alice"));
    let next = kernel.open().await;
    let back = returning(&mut browser, &next).await;
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(browser.view(reply.flow()).await.page()["page"], "done");
}

#[tokio::test]
async fn security_b8_a_confirmed_other_account_replaces_the_pin() {
    let world = World::new().await;
    link_account(&world, "alice", "op-alice").await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    world.provider.sign_in_as(Account::new("op-alice-2"));
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    browser.decide("confirm", &page, "accept").await;
    let ready = kernel.poll(&sign_in).await.json();
    assert_eq!(ready["connection"]["account"]["sub"], "op-alice-2");
}

#[tokio::test]
async fn security_b8_an_account_confirmed_meanwhile_by_another_user_is_refused_at_the_click() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "mallory").await;
    let mut browser = world.browser("mallory");
    let page = confirmation(&mut browser, &sign_in).await;
    link_account(&world, "alice", "op-alice").await;
    let reply = browser.decide("confirm", &page, "accept").await;
    let ended = browser.view(reply.flow()).await;
    assert_eq!(ended.page()["reason"], "account_refused");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_no_connection(&kernel).await;
    assert_told(&trail, "account_link_conflict");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn security_b9_confirming_takes_the_pages_own_token_and_cookie() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    let (_, his_sign_in) = opened(&world, "mallory").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    world.provider.sign_in_as(Account::new("op-mallory"));
    let mut mallory = world.browser("mallory");
    let his_page = confirmation(&mut mallory, &his_sign_in).await;
    let flow = page.page()["flow"].as_str().unwrap();
    let (csrf, foreign) = (
        page.page()["csrf"].as_str().unwrap(),
        his_page.page()["csrf"].as_str().unwrap(),
    );
    for wrong in ["", "x", foreign, &csrf[1..]] {
        let reply = browser.decide_with("confirm", flow, wrong, "accept").await;
        assert_refused(&reply, "forbidden");
        let reply = browser.decide_with("confirm", flow, wrong, "cancel").await;
        assert_refused(&reply, "forbidden");
    }
    let his_cookie = &mallory.cookies[&his_sign_in.nonce[..6]];
    for cookie in [json!(null), json!(""), json!(his_cookie)] {
        let body = json!({"flow": flow, "flow_cookie": cookie, "csrf": csrf, "decision": "accept"});
        assert_refused(&browser.ask("confirm", &body).await, "forbidden");
    }
    assert_refused(
        &browser.decide("continue", &page, "accept").await,
        "forbidden",
    );
    assert_eq!(kernel.state(&sign_in).await, "pending");
    assert_told(&trail, "policy_denied");
    assert!(!trail.has("token_issued"));

    assert_eq!(
        browser.decide("confirm", &page, "accept").await.kind(),
        "view"
    );
    for decision in ["accept", "cancel"] {
        assert_refused(
            &browser.decide("confirm", &page, decision).await,
            "forbidden",
        );
    }
    assert_eq!(kernel.state(&sign_in).await, "connected");
    assert_eq!(exchanges(&world), 2);
}

#[tokio::test]
async fn security_b9_a_click_after_the_end_makes_no_connection() {
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    world.clock.advance(Duration::from_mins(10));
    assert_refused(&browser.view(&sign_in.nonce[..6]).await, "invalid_link");
    let reply = browser.decide("confirm", &page, "accept").await;
    assert!(
        ["forbidden", "invalid_link"].contains(&reply.refusal()),
        "{reply:?}"
    );
    assert_eq!(kernel.state(&sign_in).await, "expired");
    assert_no_connection(&kernel).await;
}

#[tokio::test]
async fn security_b9_of_parallel_clicks_one_connection_comes() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    let flow = page.page()["flow"].as_str().unwrap();
    let body = json!({
        "flow": flow, "flow_cookie": browser.cookies[flow], "csrf": page.page()["csrf"], "decision": "accept",
    });
    let replies = join_all((0..10).map(|_| ask(&world, "confirm", &body))).await;
    let taken = replies.iter().filter(|reply| reply.kind() == "view");
    assert_eq!(taken.count(), 1);
    let issued = trail.events();
    let issued = issued
        .iter()
        .filter(|event| event.starts_with("token_issued"));
    assert_eq!(issued.count(), 1);
    assert_eq!(kernel.state(&sign_in).await, "connected");
    let connections = kernel.send(Method::GET, "/v1/connections", None).await;
    assert_eq!(
        connections.json()["connections"].as_array().unwrap().len(),
        1
    );
    assert!(world.provider.revoked().is_empty());
}

#[tokio::test]
async fn security_b9_of_parallel_connect_and_cancel_one_counts() {
    for _ in 0..5 {
        let world = World::new().await;
        let (kernel, sign_in) = opened(&world, "alice").await;
        let mut browser = world.browser("alice");
        let page = confirmation(&mut browser, &sign_in).await;
        let flow = page.page()["flow"].as_str().unwrap();
        let body = |decision: &str| {
            json!({
                "flow": flow, "flow_cookie": browser.cookies[flow], "csrf": page.page()["csrf"], "decision": decision,
            })
        };
        let (accept, cancel) = (body("accept"), body("cancel"));
        let (_, _, _) = tokio::join!(
            ask(&world, "confirm", &accept),
            ask(&world, "confirm", &cancel),
            kernel.cancel(&sign_in)
        );
        let connections = kernel.send(Method::GET, "/v1/connections", None).await;
        let connections = connections.json()["connections"].as_array().unwrap().len();
        match kernel.state(&sign_in).await.as_str() {
            "connected" => assert_eq!(connections, 1),
            "denied" => {
                assert_eq!(connections, 0);
                assert_no_connection(&kernel).await;
                assert!(revoked(&world.provider, 2).await.len() >= 2);
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn security_b3_a_hub_logout_before_the_click_ends_the_sign_in() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    world.hub.log_out("alice");
    let reply = browser.decide("confirm", &page, "accept").await;
    assert_refused(&reply, "forbidden");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_no_connection(&kernel).await;
    assert_told(&trail, "hub_user_mismatch");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn security_b6_another_hub_user_at_the_click_ends_the_sign_in() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    world
        .hub
        .alter_browser_models(|model| *model = models::browser("mallory"));
    let reply = browser.decide("confirm", &page, "accept").await;
    assert_refused(&reply, "forbidden");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_told(&trail, "hub_user_mismatch");
}

#[tokio::test]
async fn security_i6_without_the_hub_the_click_may_be_repeated() {
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world, "alice").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    world.hub.fault(Fault::Down);
    let reply = browser.decide("confirm", &page, "accept").await;
    assert_refused(&reply, "unavailable");
    world.hub.fault(Fault::None);
    assert_eq!(kernel.state(&sign_in).await, "pending");
    browser.decide("confirm", &page, "accept").await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
}

#[tokio::test]
async fn security_i6_a_click_of_which_a_record_got_lost_may_be_repeated() {
    for fault in [CommitFault::Lost, CommitFault::AnswerLost] {
        // The account's owner, the account link, the connection, where a logout finds it, the sign-in.
        for before in 0..5 {
            let world = World::new().await;
            let (kernel, sign_in) = opened(&world, "alice").await;
            let mut browser = world.browser("alice");
            let page = confirmation(&mut browser, &sign_in).await;
            let mut faults = vec![CommitFault::None; before];
            faults.push(fault);
            world.probe.next_commits(&faults);
            let lost = browser.decide("confirm", &page, "accept").await;
            assert_refused(&lost, "unavailable");
            assert!(world.probe.is_calm());
            browser.decide("confirm", &page, "accept").await;
            let state = kernel.state(&sign_in).await;
            assert_eq!(state, "connected", "{fault:?} {before}");
            assert!(world.provider.revoked().is_empty());
        }
    }
}
