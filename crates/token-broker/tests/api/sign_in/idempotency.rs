//! A `POST /v1/sign-ins` that comes again under its idempotency key.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::support::{
    kernel::opened,
    probe::CommitFault,
    world::{World, send},
};

#[tokio::test]
async fn security_r19_a_repeated_request_gets_the_same_answer_for_a_minute() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let body = json!({"provider": "lab-api"});
    let first = kernel.create_with_key(&body, "key-1").await;
    assert_eq!(first.status, StatusCode::CREATED);
    let commits = world.probe.commits();
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(kernel.create_with_key(&body, "key-1").await, first);
    assert_eq!(world.probe.commits(), commits, "nothing was opened anew");
    assert_eq!(kernel.state(&opened(&first.json())).await, "pending");
    let other = kernel.create_with_key(&body, "key-2").await;
    assert_ne!(other.bytes, first.bytes);
    world.clock.advance(Duration::from_secs(2));
    let late = kernel.create_with_key(&body, "key-1").await;
    assert_eq!(late.status, StatusCode::CREATED);
    assert_ne!(late.bytes, first.bytes);
}

#[tokio::test]
async fn security_r19_another_request_under_the_same_key_is_refused() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let first = kernel
        .create_with_key(&json!({"provider": "lab-api"}), "key")
        .await;
    let commits = world.probe.commits();
    let wider = json!({"provider": "lab-api", "scopes": ["projects:write"]});
    let answer = kernel.create_with_key(&wider, "key").await;
    answer.assert_problem(StatusCode::BAD_REQUEST, "idempotency_key_reused");
    let text = answer.text();
    assert!(!text.contains(&opened(&first.json()).poll_secret), "{text}");
    assert_eq!(world.probe.commits(), commits);
}

#[tokio::test]
async fn security_r19_a_key_belongs_to_one_server_token() {
    let world = World::new().await;
    let body = json!({"provider": "lab-api"});
    let first = world
        .kernel("alice", "")
        .create_with_key(&body, "key")
        .await;
    for other in [
        world.kernel("alice", ""),
        world.kernel("alice", "gpu"),
        world.kernel("mallory", ""),
    ] {
        let answer = other.create_with_key(&body, "key").await;
        assert_eq!(answer.status, StatusCode::CREATED);
        let (mine, theirs) = (opened(&answer.json()), opened(&first.json()));
        assert_ne!(mine.nonce, theirs.nonce);
        assert_ne!(mine.poll_secret, theirs.poll_secret);
    }
}

#[tokio::test]
async fn security_r19_a_key_that_is_none_is_refused() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let long = "k".repeat(256);
    for keys in [vec![""], vec![long.as_str()], vec!["é"], vec!["a", "a"]] {
        let body = json!({"provider": "lab-api"});
        let mut request = kernel.request(http::Method::POST, "/v1/sign-ins", Some(&body));
        for key in &keys {
            let key = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
            request.headers_mut().append("idempotency-key", key);
        }
        let answer = send(&kernel.api, request).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
    }
    assert_eq!(world.probe.commits(), 0);
}

/// Whatever got lost at the store, the same request again leads to one sign-in that lives.
#[tokio::test]
async fn security_r19_a_repetition_after_a_fault_of_the_store_leads_to_a_living_sign_in() {
    use CommitFault::{AnswerLost, Lost, None as Fine};
    for faults in [
        vec![Lost],
        vec![AnswerLost],
        vec![Fine, Lost],
        vec![Fine, AnswerLost],
    ] {
        let world = World::new().await;
        let kernel = world.kernel("alice", "");
        let body = json!({"provider": "lab-api"});
        world.probe.next_commits(&faults);
        let failed = kernel.create_with_key(&body, "key").await;
        failed.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
        let answer = kernel.create_with_key(&body, "key").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{faults:?}");
        let sign_in = opened(&answer.json());
        assert_eq!(kernel.state(&sign_in).await, "pending", "{faults:?}");
        let started = world.browser("alice").start(sign_in.ticket()).await;
        assert_eq!(started.kind(), "redirect", "{faults:?}");
        // It is the only one that counts.
        for _ in 0..9 {
            kernel.open().await;
        }
    }
}
