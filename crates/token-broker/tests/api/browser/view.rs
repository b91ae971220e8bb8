//! `POST /internal/v1/view`: the page of a flow, for the browser that holds its cookie.

use hubkey_domain::provider::IdentityPolicy;
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    browser::{Reply, TestBrowser},
    outcome::{assert_refused, assert_told, confirmation},
    world::{World, WorldOptions},
};

async fn shared_origin() -> World {
    World::with(WorldOptions {
        shared_origin: true,
        account_policy: IdentityPolicy::Unchecked,
        ..WorldOptions::default()
    })
    .await
}

/// The page that the browser sees now, and that it is a dead link without the cookie and with another one.
async fn seen(browser: &mut TestBrowser<'_>, flow: &str) -> Reply {
    let without = browser.ask("view", &json!({"flow": flow})).await;
    let wrong = browser
        .ask(
            "view",
            &json!({"flow": flow, "flow_cookie": "x".repeat(43)}),
        )
        .await;
    assert_refused(&without, "invalid_link");
    assert_refused(&wrong, "invalid_link");
    browser.view(flow).await
}

#[tokio::test]
async fn security_i7_each_stage_has_its_page_for_its_own_browser_alone() {
    let trail = AuditTrail::begin();
    let world = shared_origin().await;
    let sign_in = world.kernel("alice", "gpu").open().await;
    let flow = sign_in.nonce[..6].to_owned();
    let mut browser = world.browser("alice");

    let started = browser.start(sign_in.ticket()).await;
    assert_refused(&seen(&mut browser, &flow).await, "invalid_link");
    let back = browser.at_hub(started.location()).await;
    browser.hub_callback(&back).await;
    let start_page = seen(&mut browser, &flow).await;
    assert_eq!(start_page.page()["page"], "start");
    assert_eq!(start_page.page()["server"], "gpu");
    assert_eq!(start_page.page()["provider"]["display_name"], "Lab API");
    assert_eq!(start_page.page()["scopes"].as_array().unwrap().len(), 2);
    let leaving = browser.decide("continue", &start_page, "accept").await;
    assert_refused(&seen(&mut browser, &flow).await, "invalid_link");
    let back = browser.at_provider(leaving.location()).await;
    browser.callback("lab-api", &back).await;
    let done = seen(&mut browser, &flow).await;
    assert_eq!(done.page()["page"], "done");
    assert!(done.page()["account"].is_string());
    // Looking changes nothing.
    assert_eq!(seen(&mut browser, &flow).await.0, done.0);
    assert_told(&trail, "policy_denied");
}

#[tokio::test]
async fn security_b4_the_confirmation_page_names_everything_that_matters() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "gpu").open().await;
    let mut browser = world.browser("alice");
    confirmation(&mut browser, &sign_in).await;
    let confirm = seen(&mut browser, &sign_in.nonce[..6]).await;
    let page = confirm.page();
    assert_eq!(page["page"], "confirm");
    assert_eq!(
        (&page["user"], &page["server"]),
        (&json!("alice"), &json!("gpu"))
    );
    assert_eq!(page["provider_host"], "127.0.0.1");
    assert_eq!(page["replaces_account"], false);
    assert_eq!(page["shared_server"], false);
    assert!(page["asked_at"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(page["scopes"].as_array().unwrap().len(), 2);
    let account = page["account"].as_str().unwrap();
    assert!(account.contains("op-alice"), "{account}");
}

#[tokio::test]
async fn security_i7_a_cookie_shows_its_own_flow_and_no_other() {
    let world = World::new().await;
    let (alice, mallory) = (world.kernel("alice", ""), world.kernel("mallory", ""));
    let (hers, his) = (alice.open().await, mallory.open().await);
    let mut browser = world.browser("alice");
    confirmation(&mut browser, &hers).await;
    let mut other = world.browser("mallory");
    other.start(his.ticket()).await;
    let cookie = other.cookies[&his.nonce[..6]].clone();
    let reply = other
        .ask(
            "view",
            &json!({"flow": &hers.nonce[..6], "flow_cookie": cookie}),
        )
        .await;
    assert_refused(&reply, "invalid_link");
}
