//! `POST /backchannel-logout/{provider}`: what a provider sends, without a browser.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, Server, Visit};

const FORM: &str = "application/x-www-form-urlencoded";

async fn post(server: &Server, path: &str, media_type: &str, body: &str) -> Answer {
    let visit = Visit::bare(Method::POST, path);
    server
        .visit(visit.with("content-type", media_type).body(body))
        .await
}

fn answers(server: &Server, outcome: &str) {
    let answer = json!({ "outcome": outcome });
    server.broker.answers(StatusCode::OK, answer);
}

#[tokio::test]
async fn security_p90_a_logout_token_is_handed_on_without_a_browsers_headers() {
    let server = Server::own().await;
    answers(&server, "done");
    let path = "/backchannel-logout/lab-api";
    let answer = post(&server, path, FORM, "x=1&logout_token=a.b.c&y=2").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body, "");
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/backchannel-logout/lab-api");
    assert_eq!(call.body, json!({"logout_token": "a.b.c", "source": null}));
}

#[tokio::test]
async fn security_p91_p92_p93_p94_p95_p96_p97_whatever_is_wrong_is_400_and_says_nothing_more() {
    let server = Server::own().await;
    answers(&server, "refused");
    let path = "/backchannel-logout/lab-api";
    let long = format!("logout_token={}", "x".repeat(13_000));
    let huge = format!("logout_token={}", "x".repeat(20_000));
    let mut seen = Vec::new();
    for (path, media_type, body) in [
        (path, FORM, "logout_token=a.b.c"),
        (path, FORM, ""),
        (path, FORM, "logout_token="),
        (path, FORM, "logout_token=a&logout_token=b"),
        (path, FORM, &*long),
        (path, FORM, &*huge),
        (path, "application/json", "logout_token=a.b.c"),
        ("/backchannel-logout/%2e%2e", FORM, "logout_token=a.b.c"),
        ("/backchannel-logout/Not%20One", FORM, "logout_token=a.b.c"),
    ] {
        let answer = post(&server, path, media_type, body).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{path} {media_type}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        seen.push(answer.body);
    }
    seen.dedup();
    assert_eq!(seen, [r#"{"error":"invalid_request"}"#]);
    assert_eq!(server.broker.calls().len(), 1, "only the first was judged");
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_no_success() {
    let server = Server::own().await;
    server
        .broker
        .answers(StatusCode::SERVICE_UNAVAILABLE, json!({}));
    let path = "/backchannel-logout/lab-api";
    let answer = post(&server, path, FORM, "logout_token=a.b.c").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_flood_is_told_to_wait_and_a_browser_finds_nothing() {
    let server = Server::own().await;
    answers(&server, "too_many");
    let path = "/backchannel-logout/lab-api";
    let answer = post(&server, path, FORM, "logout_token=a.b.c").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "1");
    let opened = server.open(path).await;
    assert_eq!(opened.status, StatusCode::METHOD_NOT_ALLOWED);
}
