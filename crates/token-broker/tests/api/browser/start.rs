//! `POST /internal/v1/start`: a link is opened.

use std::time::Duration;

use hubkey_fakes::{fake_http::Captured, scripted_hub::HubEndpoint};
use serde_json::{Value, json};

use crate::support::{
    attempt::{Attempt, opened_by},
    audit::AuditTrail,
    browser::parameter,
    outcome::{assert_refused, assert_told, exchanges},
    world::World,
};

#[tokio::test]
async fn security_q15_ten_previews_burn_nothing() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    for _ in 0..10 {
        let mut preview = world.browser("nobody");
        assert_eq!(preview.start(sign_in.ticket()).await.kind(), "redirect");
    }
    assert_eq!(kernel.state(&sign_in).await, "pending");
    let hub_answers: Vec<Captured> = world.hub.requests(HubEndpoint::Token);
    assert!(hub_answers.is_empty());
    world.browser("alice").sign_in(&sign_in).await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
}

#[tokio::test]
async fn security_q15_what_a_preview_was_given_ends_no_sign_in() {
    let attempt = Attempt::begin("alice").await;
    let mut preview = attempt.browser("nobody");
    for step in ["callback/lab-api", "hub-callback"] {
        let started = preview.start(attempt.sign_in.ticket()).await;
        let state = parameter(&started.location().parse().unwrap(), "state").unwrap();
        let body = json!({"state": state, "flow_cookie": preview.cookie_of(&state), "error": "access_denied"});
        let event = if step == "hub-callback" {
            "hub_user_mismatch"
        } else {
            "policy_denied"
        };
        attempt
            .assert_unharmed(&preview.ask(step, &body).await, event)
            .await;
        let anonymous = preview.ask(step, &json!({"state": state})).await;
        attempt.assert_unharmed(&anonymous, event).await;
    }
    attempt.browser("alice").sign_in(&attempt.sign_in).await;
    assert_eq!(attempt.kernel.state(&attempt.sign_in).await, "connected");
}

#[tokio::test]
async fn security_b1_every_dead_link_is_answered_alike() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let (expired, used, cancelled) = (
        kernel.open().await,
        kernel.open().await,
        kernel.open().await,
    );
    world.browser("alice").go_to_provider(&used).await;
    kernel.cancel(&cancelled).await;
    let short = &used.ticket()[..6];
    let invented = format!("{short}.{}", "A".repeat(43));
    let foreign_short = used.ticket().replacen(short, "zzzzzz", 1);
    let mut browser = world.browser("alice");
    let mut answers = Vec::new();
    for ticket in [
        used.ticket(),
        cancelled.ticket(),
        &invented,
        &foreign_short,
        "",
        "nonsense",
    ] {
        answers.push(browser.start(ticket).await);
    }
    world.clock.advance(Duration::from_mins(10));
    answers.push(browser.start(expired.ticket()).await);
    assert_eq!(kernel.state(&expired).await, "expired");
    let mut shapes: Vec<Value> = answers.iter().map(|answer| answer.0.clone()).collect();
    for (answer, shape) in answers.iter().zip(&mut shapes) {
        assert_refused(answer, "invalid_link");
        shape["answer"]["reference"] = Value::Null;
    }
    assert!(shapes.windows(2).all(|two| two[0] == two[1]), "{shapes:?}");
    assert!(browser.cookies.is_empty());
    assert_eq!(exchanges(&world), 0);
    assert_told(&trail, "policy_denied");
}

#[tokio::test]
async fn security_i4_a_link_is_good_for_one_of_its_persons_browsers() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let (mut first, mut second) = (world.browser("alice"), world.browser("alice"));
    let starts = [
        first.start(sign_in.ticket()).await,
        second.start(sign_in.ticket()).await,
    ];
    let back_of_second = second.at_hub(starts[1].location()).await;
    let back_of_first = first.at_hub(starts[0].location()).await;
    assert_eq!(first.hub_callback(&back_of_first).await.kind(), "redirect");
    assert_refused(&second.hub_callback(&back_of_second).await, "invalid_link");
    assert_eq!(kernel.state(&sign_in).await, "pending");
}

#[tokio::test]
async fn feature_c1_each_start_makes_its_own_cookie_state_and_challenge() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let starts = [
        browser.start(sign_in.ticket()).await,
        browser.start(sign_in.ticket()).await,
    ];
    for name in ["state", "code_challenge"] {
        let [one, two] = starts
            .each_ref()
            .map(|start| parameter(&start.location().parse().unwrap(), name).unwrap());
        assert_ne!(one, two, "{name}");
    }
    assert_ne!(
        starts[0].0["set_cookie"]["value"],
        starts[1].0["set_cookie"]["value"]
    );
    for start in &starts {
        assert_eq!(start.0["set_cookie"]["max_age"], 600);
        assert_eq!(start.0["set_cookie"]["flow"], sign_in.nonce[..6]);
        assert!(start.0["set_cookie"]["value"].as_str().unwrap().len() >= 43);
    }
}
