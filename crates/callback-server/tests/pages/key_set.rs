//! `GET /jwks/{provider}`: what a provider reads, without a browser.

use http::{Method, StatusCode};
use hubkey_protocol::ProviderId;
use serde_json::{Value, json};

use crate::support::{OWN, Server, Visit};

fn set() -> Value {
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "mine" }] })
}

#[tokio::test]
async fn a_provider_reads_its_own_set_without_a_browsers_headers() {
    let server = Server::at(OWN, |site| {
        let id = ProviderId::parse("lab-api").unwrap();
        site.key_sets.insert(id, set());
    })
    .await;
    let answer = server
        .visit(Visit::bare(Method::GET, "/jwks/lab-api"))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), set());
    for (method, path, status) in [
        (Method::GET, "/jwks/other", StatusCode::NOT_FOUND),
        (Method::GET, "/jwks/%ff", StatusCode::NOT_FOUND),
        (Method::GET, "/jwks/", StatusCode::NOT_FOUND),
        (
            Method::HEAD,
            "/jwks/lab-api",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            Method::POST,
            "/jwks/lab-api",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let answer = server.visit(Visit::bare(method, path)).await;
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(server.broker.calls().len(), 0, "the broker is not asked");
}

#[tokio::test]
async fn before_the_broker_has_said_anything_a_provider_is_to_come_again() {
    let server = Server::alone().await;
    let answer = server
        .visit(Visit::bare(Method::GET, "/jwks/lab-api"))
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "1");
}
