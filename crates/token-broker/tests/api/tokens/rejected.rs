//! A token that an API rejected before its end.

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::Endpoint,
};
use hubkey_protocol::{AccessTokenHash, secret::AccessToken};
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    refresh_stage::{LEASE, Stage, token},
    world::{Answer, WorldOptions},
};

const MINUTE: Duration = Duration::from_mins(1);

fn hash_of(token: &str) -> String {
    let hash = AccessTokenHash::of(&AccessToken::new(token));
    hash.as_str().to_owned()
}

async fn ask(stage: &Stage, body: &Value) -> Answer {
    let path = format!("/v1/connections/{}/token", stage.connection.id);
    stage.kernel.send(Method::POST, &path, Some(body)).await
}

async fn instead_of(stage: &Stage, rejected: &str) -> Answer {
    ask(stage, &json!({ "rejected_ath": hash_of(rejected) })).await
}

#[test]
fn found_a9_a_token_is_named_by_the_hash_of_rfc_9449() {
    // RFC 9449 section 7.1: the token of figure 16, and `ath` of figure 13.
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    assert_eq!(
        hash_of(token),
        "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    );
}

#[tokio::test]
async fn found_a9_a_rejected_token_is_replaced_and_served_no_more() {
    let (trail, stage) = (AuditTrail::begin(), Stage::new().await);
    let first = stage.connection.access_token.clone();
    let second = token(&instead_of(&stage, &first).await);
    assert_ne!(second, first);
    assert_eq!(stage.asked(), 1);
    assert!(trail.has("token_rejected"));
    // Whoever comes with the old one gets the new one, and so does whoever says nothing.
    assert_eq!(token(&instead_of(&stage, &first).await), second);
    assert_eq!(stage.token(0).await, second);
    // What never was a token of this connection concerns none.
    assert_eq!(token(&instead_of(&stage, "another").await), second);
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn found_a9_a_kernel_in_a_loop_is_no_storm_of_refreshes() {
    let stage = Stage::new().await;
    let mut newest = stage.connection.access_token.clone();
    newest = token(&instead_of(&stage, &newest).await);
    for _ in 0..5 {
        let refused = instead_of(&stage, &newest).await;
        refused.assert_problem(StatusCode::CONFLICT, "provider_rejects_token");
    }
    assert_eq!(stage.asked(), 1);
    // It is the newest there is, and another API may take it.
    assert_eq!(stage.token(0).await, newest);
    stage.advance(MINUTE);
    assert_ne!(token(&instead_of(&stage, &newest).await), newest);
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn found_a9_a_rejected_token_is_not_served_while_the_provider_is_away() {
    let stage = Stage::new().await;
    let first = stage.connection.access_token.clone();
    stage.world.provider.set_up(false);
    for _ in 0..2 {
        for away in [instead_of(&stage, &first).await, stage.get_token(0).await] {
            assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
        }
    }
    stage.world.provider.set_up(true);
    stage.advance(LEASE);
    assert_ne!(stage.token(0).await, first);
}

#[tokio::test]
async fn found_a9_a_connection_without_a_refresh_token_ends_clearly() {
    let stage = Stage::at_provider(WorldOptions::default(), |provider| {
        provider.token_responses(|answer| {
            answer["refresh_token"] = json!(null);
            answer["expires_in"] = json!(null);
        });
    })
    .await;
    let first = stage.connection.access_token.clone();
    let answer = instead_of(&stage, &first).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    // `connect()` does not find it satisfying either.
    let opened = stage.kernel.create(&json!({})).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text());
}

#[tokio::test]
async fn found_a9_a_narrower_token_is_replaced_by_itself() {
    let stage = Stage::new().await;
    let narrow = json!({"scopes": ["projects:read"]});
    let first = token(&ask(&stage, &narrow).await);
    let rejected = json!({"scopes": ["projects:read"], "rejected_ath": hash_of(&first)});
    let second = token(&ask(&stage, &rejected).await);
    assert_ne!(second, first);
    assert_eq!(token(&ask(&stage, &narrow).await), second);
    let again = json!({"scopes": ["projects:read"], "rejected_ath": hash_of(&second)});
    let refused = ask(&stage, &again).await;
    refused.assert_problem(StatusCode::CONFLICT, "provider_rejects_token");
    // The connection's own token is another one.
    assert_eq!(stage.token(0).await, stage.connection.access_token);
}

#[tokio::test]
async fn found_a9_what_is_no_hash_is_refused_without_being_shown() {
    let stage = Stage::new().await;
    let canary = "a-token-by-mistake-canary";
    let refused = ask(&stage, &json!({ "rejected_ath": canary })).await;
    refused.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
    assert!(!refused.text().contains(canary), "{}", refused.text());
}

#[tokio::test]
async fn found_h5_userinfo_that_refuses_the_token_refreshes_once() {
    let stage = Stage::new().await;
    let path = format!("/v1/connections/{}/userinfo", stage.connection.id);
    let first = stage.connection.access_token.clone();
    stage.world.provider.grants().forget_access_token(&first);
    let answer = stage.kernel.send(Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(stage.asked(), 1);
    assert_ne!(stage.token(0).await, first);
}

/// Whoever hears of it late is not told that the new token is rejected too.
#[tokio::test]
async fn found_h5_a_token_that_was_replaced_meanwhile_is_not_replaced_again() {
    let stage = Stage::new().await;
    let path = format!("/v1/connections/{}/userinfo", stage.connection.id);
    let first = stage.connection.access_token.clone();
    stage
        .world
        .provider
        .next_reply(Endpoint::UserInfo, |reply| {
            *reply = Reply::new(StatusCode::UNAUTHORIZED);
            reply.pace = Pace::After(Duration::from_secs(1));
        });
    let (answer, another) = tokio::join!(
        stage.kernel.send(Method::GET, &path, None),
        instead_of(&stage, &first),
    );
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(stage.token(0).await, token(&another));
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn found_h5_userinfo_that_refuses_every_token_is_no_storm_of_refreshes() {
    let stage = Stage::new().await;
    let path = format!("/v1/connections/{}/userinfo", stage.connection.id);
    let bare = || Reply::new(StatusCode::UNAUTHORIZED).header("www-authenticate", "Bearer");
    stage.world.provider.answer(Endpoint::UserInfo, bare());
    for _ in 0..3 {
        let refused = stage.kernel.send(Method::GET, &path, None).await;
        let code = refused.json()["code"].as_str().unwrap().to_owned();
        assert!(
            ["userinfo_refused", "provider_rejects_token"].contains(&code.as_str()),
            "{code}"
        );
        stage.advance(Duration::from_secs(6));
    }
    assert_eq!(stage.asked(), 1);
}
