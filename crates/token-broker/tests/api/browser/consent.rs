//! `POST /internal/v1/continue`: a decision on the start page.

use std::time::Duration;

use futures_util::future::join_all;
use hubkey_domain::provider::IdentityPolicy;
use hubkey_fakes::hostile_provider::Endpoint;
use serde_json::json;

use crate::support::{
    attempt::Attempt,
    browser::{Reply, TestBrowser, ask},
    kernel::{Opened, TestKernel},
    outcome::{assert_refused, assert_told, exchanges, failure},
    world::{World, WorldOptions},
};

/// A sign-in that is asked about before the provider.
async fn begin() -> Attempt {
    let options = WorldOptions {
        shared_origin: true,
        account_policy: IdentityPolicy::Unchecked,
        ..WorldOptions::default()
    };
    Attempt::begin_with(options, "alice").await
}

/// A browser before the start page.
async fn asked<'w>(world: &'w World, sign_in: &Opened) -> (TestBrowser<'w>, Reply) {
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let reply = browser.hub_callback(&back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "start", "{page:?}");
    (browser, page)
}

async fn opened(world: &World) -> (TestKernel, Opened) {
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    (kernel, sign_in)
}

#[tokio::test]
async fn security_b9_going_on_takes_the_pages_own_token_and_cookie() {
    let attempt = begin().await;
    let (_, other_sign_in) = opened(&attempt.world).await;
    let (mut browser, page) = asked(&attempt.world, &attempt.sign_in).await;
    let (_, other_page) = asked(&attempt.world, &other_sign_in).await;
    let flow = page.page()["flow"].as_str().unwrap();
    let csrf = page.page()["csrf"].as_str().unwrap();
    let foreign = other_page.page()["csrf"].as_str().unwrap();
    for wrong in ["", "x", foreign, &csrf[..csrf.len() - 1]] {
        let reply = browser.decide_with("continue", flow, wrong, "accept").await;
        attempt.assert_unharmed(&reply, "policy_denied").await;
    }
    let reply = browser.decide_with("confirm", flow, csrf, "accept").await;
    attempt.assert_unharmed(&reply, "policy_denied").await;
    let body = json!({"flow": flow, "csrf": csrf, "decision": "accept"});
    let reply = browser.ask("continue", &body).await;
    attempt.assert_unharmed(&reply, "policy_denied").await;
    assert_eq!(attempt.world.provider.hits(Endpoint::Authorize), 0);
    // All that was wrong: the page still works.
    assert_eq!(
        browser.decide("continue", &page, "accept").await.kind(),
        "redirect_page"
    );
    // And works once.
    let again = browser.decide("continue", &page, "accept").await;
    attempt.assert_unharmed(&again, "policy_denied").await;
}

#[tokio::test]
async fn security_b9_of_parallel_clicks_one_leaves() {
    let (_, world, _, sign_in) = begin().await.into_parts();
    let (browser, page) = asked(&world, &sign_in).await;
    let flow = page.page()["flow"].as_str().unwrap();
    let body = json!({
        "flow": flow, "csrf": page.page()["csrf"], "decision": "accept", "flow_cookie": browser.cookies[flow],
    });
    let replies = join_all((0..10).map(|_| ask(&world, "continue", &body))).await;
    let left = replies
        .iter()
        .filter(|reply| reply.kind() == "redirect_page");
    assert_eq!(left.count(), 1);
    let refused = replies.iter().filter(|reply| reply.kind() == "refused");
    assert_eq!(refused.count(), 9);
}

#[tokio::test]
async fn security_b9_a_click_after_the_end_is_a_dead_link() {
    let (_, world, kernel, sign_in) = begin().await.into_parts();
    let (mut browser, page) = asked(&world, &sign_in).await;
    world.clock.advance(Duration::from_secs(601));
    let reply = browser.decide("continue", &page, "accept").await;
    assert!(
        ["forbidden", "invalid_link"].contains(&reply.refusal()),
        "{reply:?}"
    );
    assert_refused(&reply, reply.refusal());
    assert_eq!(kernel.state(&sign_in).await, "expired");
    assert_eq!(exchanges(&world), 0);
}

#[tokio::test]
async fn cancel_on_the_start_page_ends_the_sign_in() {
    let (trail, world, kernel, sign_in) = begin().await.into_parts();
    let (mut browser, page) = asked(&world, &sign_in).await;
    let reply = browser.decide("continue", &page, "cancel").await;
    let ended = browser.view(reply.flow()).await;
    assert_eq!(ended.page()["reason"], "cancelled");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_eq!(world.provider.hits(Endpoint::Authorize), 0);
    assert_told(&trail, "account_confirmation_cancelled");
}

#[tokio::test]
async fn feature_k13_a_provider_that_went_down_while_the_page_was_read() {
    let (_, world, kernel, sign_in) = begin().await.into_parts();
    let (mut browser, page) = asked(&world, &sign_in).await;
    world.provider.set_up(false);
    let reply = browser.decide("continue", &page, "accept").await;
    let ended = browser.view(reply.flow()).await;
    assert_eq!(ended.page()["reason"], "provider_unavailable");
    assert_eq!(failure(&kernel, &sign_in).await, "provider_unavailable");
}
