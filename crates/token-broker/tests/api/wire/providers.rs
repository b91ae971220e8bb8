//! `GET /v1/providers`

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::world::{World, WorldOptions};

#[tokio::test]
async fn feature_k13_a_provider_that_is_down_shows_and_stops_nothing_else() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    world.provider.set_up(false);
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let reply = browser.hub_callback(&back).await;
    assert_ne!(reply.kind(), "redirect", "{reply:?}");
    let answer = kernel.send(Method::GET, "/v1/providers", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["providers"][0]["status"], "unavailable");
    world.provider.set_up(true);
    let again = kernel.open().await;
    let mut browser = world.browser("alice");
    let mut reply = browser.go_to_provider(&again).await;
    for _ in 0..40 {
        if reply.0["answer"]["location"].is_string() {
            break;
        }
        // A provider that failed is not asked again at once.
        world.clock.advance(std::time::Duration::from_secs(5));
        reply = browser.go_to_provider(&kernel.open().await).await;
    }
    let answer = kernel.send(Method::GET, "/v1/providers", None).await;
    assert_eq!(answer.json()["providers"][0]["status"], "ready");
}

#[tokio::test]
async fn a_kernel_sees_what_it_may_ask_for_in_the_operators_order() {
    let world = World::with(WorldOptions {
        providers: vec!["lab-api", "cloud"],
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let answer = kernel.send(Method::GET, "/v1/providers", None).await;
    let list = answer.json();
    assert_eq!(list["providers"][1]["id"], "cloud");
    assert_eq!(
        list["providers"][0],
        json!({
            "id": "lab-api",
            "display_name": "Lab API",
            "default_scopes": ["openid", "projects:read"],
            "allowed_scopes": ["openid", "projects:read", "projects:write"],
            "api_origins": ["https://api.example.org"],
            "status": "unknown",
        }),
        "and nothing of the registration"
    );
}
