//! The sign-in as it should go.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    attempt::{Attempt, opened_by},
    world::World,
};

#[tokio::test]
async fn security_p20_a_person_signs_in_and_the_kernel_gets_the_token() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    assert_eq!(kernel.state(&sign_in).await, "pending");

    let reply = world.browser("alice").sign_in(&sign_in).await;
    assert_eq!(reply.kind(), "view", "{reply:?}");

    let ready = kernel.poll(&sign_in).await;
    assert_eq!(ready.json()["status"], "connected", "{}", ready.json());
    assert_eq!(ready.json()["connection"]["account"]["sub"], "op-alice");
    assert!(ready.json()["token"]["access_token"].is_string());
    assert_eq!(
        kernel.acknowledge(&sign_in).await.status,
        StatusCode::NO_CONTENT
    );
    for event in [
        "sign_in_started",
        "link_opened",
        "account_confirmation_shown",
        "account_confirmation_accepted",
        "account_linked",
        "token_issued",
        "token_delivered",
    ] {
        assert!(trail.has(event), "{event} is missing: {:?}", trail.events());
    }
}

#[tokio::test]
async fn feature_a13_a_second_request_of_the_same_server_needs_no_person() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.browser("alice").sign_in(&sign_in).await;
    let again = kernel.create(&json!({"provider": "lab-api"})).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json()["status"], "connected");
    let id = again.json()["connection"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let token = kernel
        .send(
            Method::POST,
            &format!("/v1/connections/{id}/token"),
            Some(&json!({"min_valid_seconds": 1})),
        )
        .await;
    assert_eq!(
        token.json()["access_token"],
        again.json()["token"]["access_token"]
    );
}

#[tokio::test]
async fn a_pinned_account_is_not_asked_about_again() {
    let world = World::new().await;
    let first = world.kernel("alice", "");
    world.browser("alice").sign_in(&first.open().await).await;
    let second = world.kernel("alice", "gpu");
    let sign_in = second.open().await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(leaving.location()).await;
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(browser.view(reply.flow()).await.page()["page"], "done");
    assert_eq!(second.state(&sign_in).await, "connected");
}
