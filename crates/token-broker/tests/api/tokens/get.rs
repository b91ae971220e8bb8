//! `POST /v1/connections/{id}/token`

use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode};
use hubkey_fakes::hostile_provider::Endpoint;
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    world::{World, send},
};

#[tokio::test]
async fn feature_k11_a_token_is_drawn_with_what_is_known_about_it() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let answer = kernel.get_token(&connection.id, 60).await;
    assert_eq!(answer.status, StatusCode::OK);
    let token = answer.json();
    assert_eq!(token["access_token"], connection.access_token);
    assert_eq!(token["token_type"], "Bearer");
    assert!(token["expires_at"].is_u64());
    let names: Vec<_> = token.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        [
            "access_token",
            "token_type",
            "expires_at",
            "expires_in",
            "scopes"
        ]
    );
    assert!(trail.has("token_delivered"));
}

#[tokio::test]
async fn need_1_a_token_that_ends_too_early_is_not_handed_out() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    world.provider.token_responses(|answer| {
        answer["expires_in"] = json!(300);
        answer.as_object_mut().unwrap().remove("refresh_token");
    });
    let connection = world.connect(&kernel, "alice").await;
    assert_eq!(
        kernel.get_token(&connection.id, 299).await.status,
        StatusCode::OK
    );
    let short = kernel.get_token(&connection.id, 301).await;
    short.assert_problem(StatusCode::CONFLICT, "token_lifetime_too_short");
    let forever = kernel.get_token(&connection.id, u64::MAX).await;
    forever.assert_problem(StatusCode::CONFLICT, "token_lifetime_too_short");
    world.clock.advance(Duration::from_secs(301));
    let ended = kernel.get_token(&connection.id, 0).await;
    ended.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    for answer in [short, forever, ended] {
        assert!(!answer.text().contains(&connection.access_token));
    }
    let again = kernel.create(&json!({})).await;
    assert_eq!(
        again.status,
        StatusCode::CREATED,
        "an ended token is no connection"
    );
}

#[tokio::test]
async fn found_a5_a_token_that_ends_when_it_comes_is_used_and_leads_to_no_circle() {
    for expires_in in [json!(0), json!("0"), json!(0.2), json!(-1), json!(null)] {
        for has_refresh_token in [false, true] {
            let world = World::new().await;
            let kernel = world.kernel("alice", "");
            let expires_in = expires_in.clone();
            world.provider.token_responses(move |answer| {
                answer["expires_in"] = expires_in.clone();
                if !has_refresh_token {
                    answer.as_object_mut().unwrap().remove("refresh_token");
                }
            });
            let connection = world.connect(&kernel, "alice").await;
            let asked = world.provider.hits(Endpoint::Token);
            for _ in 0..5 {
                world.clock.advance(Duration::from_secs(1));
                let answer = kernel.get_token(&connection.id, 0).await;
                assert_eq!(answer.json()["access_token"], connection.access_token);
                let again = kernel.create(&json!({})).await;
                assert_eq!(again.status, StatusCode::OK, "no sign-in is opened");
            }
            assert_eq!(world.provider.hits(Endpoint::Token), asked);
        }
    }
}

#[tokio::test]
async fn feature_g6_no_other_kernel_draws_from_a_connection() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let delivered = trail.events().len();
    let before = world.traces();
    let unknown = kernel.get_token("abcdef.AAAAAAAAAAAAAAAAAAAAAA", 0).await;
    for other in [
        world.kernel("mallory", ""),
        world.kernel("alice", "gpu"),
        world.kernel("alice", ""),
    ] {
        let answer = other.get_token(&connection.id, 0).await;
        answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
        assert_eq!(answer, unknown);
    }
    assert_eq!(world.traces(), before);
    assert_eq!(trail.events().len(), delivered, "nothing was delivered");
}

#[tokio::test]
async fn security_k9_a_draw_of_another_form_is_refused() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let path = format!("/v1/connections/{}/token", connection.id);
    for (body, word) in [
        (r#"{"min_valid_seconds": -1}"#, "min_valid_seconds"),
        (r#"{"min_valid_seconds": "60"}"#, "min_valid_seconds"),
        (r#"{"min_valid_seconds": 1.5}"#, "min_valid_seconds"),
        (
            r#"{"min_valid_seconds": 18446744073709551616}"#,
            "min_valid_seconds",
        ),
        (
            r#"{"min_valid_seconds": 1, "min_valid_seconds": 2}"#,
            "twice",
        ),
        (r#"{"requested_issuer": "github"}"#, "`requested_issuer`"),
        (r#"{"user": "alice"}"#, "`user`"),
    ] {
        let mut request = kernel.request(Method::POST, &path, Some(&json!({})));
        *request.body_mut() = Body::from(body);
        let answer = send(&kernel.api, request).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
        assert!(answer.text().contains(word), "{body}: {}", answer.text());
        assert!(!answer.text().contains(&connection.access_token));
    }
}
