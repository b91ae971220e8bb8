//! `GET /v1/openapi.json` and the document that is checked in.

use http::{Method, StatusCode};
use hubkey_token_broker::routes;

use crate::support::world::World;

const CHECKED_IN: &str = include_str!("../../../../../docs/reference/openapi.json");

#[test]
fn the_checked_in_openapi_document_is_current() {
    assert!(
        routes::document() == CHECKED_IN,
        "docs/reference/openapi.json is not what the routes say; run `cargo xtask docs`"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let answer = kernel.send(Method::GET, "/v1/openapi.json", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text(), CHECKED_IN);
    let paths: Vec<_> = answer.json()["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        paths,
        [
            "/v1/connections",
            "/v1/connections/{id}",
            "/v1/connections/{id}/exchange",
            "/v1/connections/{id}/token",
            "/v1/connections/{id}/userinfo",
            "/v1/providers",
            "/v1/servers/stopped",
            "/v1/sign-ins",
            "/v1/sign-ins/{nonce}",
            "/v1/sign-ins/{nonce}/ack",
        ]
    );
}
