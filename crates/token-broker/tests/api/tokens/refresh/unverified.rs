//! Refreshes whose ID token is signed by a key that is out of reach (OpenID Connect Core 1.0 section 12.2).

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Account, Endpoint, HostileProvider, SigningKey},
};
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    refresh_stage::{DUE, DUE_TO_ENDED, ENDED, LEASE, Stage, token},
    world::{internal_request, send},
};

/// Spoils an answer.
type Spoil = fn(&mut Value);
/// Puts the key out of reach after new ones sign.
type Hide = fn(&HostileProvider);

/// The ways in which a key may be out of reach.
fn ways() -> Vec<(&'static str, Hide)> {
    vec![
        ("the key set is down", |provider| {
            provider.signing_keys().rotate().unwrap();
            let down = Reply::new(StatusCode::SERVICE_UNAVAILABLE);
            provider.answer(Endpoint::Jwks, down);
        }),
        ("an old copy is served", |provider| {
            stale(provider, |provider| {
                provider.signing_keys().rotate().unwrap();
            });
        }),
        ("the key set is a page", |provider| {
            provider.signing_keys().rotate().unwrap();
            provider.answer(Endpoint::Jwks, Reply::html("<h1>soon</h1>"));
        }),
        (
            "another key under its name, and the key set is down",
            |provider| {
                provider.signing_keys().replace_under_kid().unwrap();
                let down = Reply::new(StatusCode::BAD_GATEWAY);
                provider.answer(Endpoint::Jwks, down);
            },
        ),
    ]
}

/// What stands before the provider goes on serving the key set from before `change`.
fn stale(provider: &HostileProvider, change: impl FnOnce(&HostileProvider)) {
    let old: Vec<Value> = provider
        .signing_keys()
        .all()
        .iter()
        .map(SigningKey::jwk)
        .collect();
    change(provider);
    provider.answer(Endpoint::Jwks, Reply::json(&json!({ "keys": old })));
}

#[tokio::test]
async fn found_a6_what_came_is_kept_until_its_key_is_there() {
    for (name, hide) in ways() {
        let trail = AuditTrail::begin();
        let stage = Stage::new().await;
        hide(&stage.world.provider);
        stage.advance(ENDED);
        for _ in 0..3 {
            let answer = stage.get_token(0).await;
            answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
            stage.advance(Duration::from_secs(40));
        }
        assert_eq!(stage.asked(), 1, "{name}");
        stage.be_honest();
        stage.advance(LEASE);
        let kept = stage.token(0).await;
        assert_ne!(kept, stage.connection.access_token, "{name}");
        assert_eq!(stage.asked(), 1, "{name}: nothing had to be asked again");
        // The refresh token that came with it is the next that goes out.
        stage.advance(ENDED);
        assert_ne!(stage.token(0).await, kept, "{name}");
        assert_eq!(stage.world.provider.grants().reuses(), 0, "{name}");
        assert!(!trail.has("reuse_detected"), "{name}");
        assert!(!trail.has("grant_ended"), "{name}");
    }
}

#[tokio::test]
async fn found_a6_the_old_token_is_served_meanwhile() {
    let stage = Stage::new().await;
    (ways()[0].1)(&stage.world.provider);
    stage.advance(DUE);
    assert_eq!(stage.token(0).await, stage.connection.access_token);
    stage.be_honest();
    stage.advance(DUE_TO_ENDED);
    assert_ne!(stage.token(0).await, stage.connection.access_token);
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn found_a6_what_ended_before_its_key_came_is_refreshed_with_the_new_refresh_token() {
    let stage = Stage::new().await;
    (ways()[0].1)(&stage.world.provider);
    stage.advance(ENDED);
    stage.get_token(0).await;
    stage.advance(ENDED);
    stage.be_honest();
    stage.token(0).await;
    assert_eq!(stage.asked(), 2);
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn found_a6_what_is_of_somebody_else_ends_the_grant_once_that_can_be_seen() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    let provider = &stage.world.provider;
    (ways()[0].1)(provider);
    provider.next_id_token(|draft| draft.claim("sub", "op-mallory"));
    stage.advance(ENDED);
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    stage.be_honest();
    stage.advance(LEASE);
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert!(trail.says("account_link_conflict", "reason=id_token_sub"));
    assert_eq!(stage.world.provider.revoked().len(), 2);
}

#[tokio::test]
async fn found_a6_who_waits_for_a_key_too_long_may_sign_in() {
    let stage = Stage::new().await;
    (ways()[0].1)(&stage.world.provider);
    stage.advance(ENDED);
    stage.get_token(0).await;
    stage.advance(Duration::from_mins(16));
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    let opened = stage.kernel.create(&json!({ "provider": "lab-api" })).await;
    assert_eq!(opened.status, StatusCode::CREATED);
    assert_eq!(opened.json()["cause"], "not_renewed");
}

#[tokio::test]
async fn found_a6_a_narrower_token_loses_no_refresh_token_either() {
    let stage = Stage::new().await;
    (ways()[0].1)(&stage.world.provider);
    let path = format!("/v1/connections/{}/token", stage.connection.id);
    let narrow = json!({ "scopes": ["openid"] });
    let answer = stage.kernel.send(Method::POST, &path, Some(&narrow)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    stage.be_honest();
    stage.advance(LEASE);
    let narrowed = stage.kernel.send(Method::POST, &path, Some(&narrow)).await;
    token(&narrowed);
    stage.advance(ENDED);
    stage.token(0).await;
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn found_a6_an_answer_that_is_useless_but_for_its_refresh_token_costs_no_sign_in() {
    let spoiled: [(&str, Spoil); 4] = [
        ("no access token", |answer| {
            answer.as_object_mut().unwrap().remove("access_token");
        }),
        ("a number", |answer| answer["access_token"] = json!(7)),
        ("another kind", |answer| answer["token_type"] = json!("mac")),
        ("a list", |answer| answer["id_token"] = json!(["x"])),
    ];
    for (name, spoil) in spoiled {
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.next_reply(Endpoint::Token, move |reply| reply.edit_json(spoil));
        stage.advance(ENDED);
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
        stage.advance(LEASE);
        stage.token(0).await;
        assert_eq!(stage.uses().len(), 2, "{name}");
        assert_eq!(stage.world.provider.grants().reuses(), 0, "{name}");
    }
}

/// What anybody may post: a logout token by a key that never was.
async fn junk(stage: &Stage) {
    let token = stage.world.provider.logout_token(json!({}), |draft| {
        draft.head("kid", "made-up");
    });
    let path = "/internal/v1/backchannel-logout/lab-api";
    let body = json!({ "logout_token": token, "source": null });
    let answer = send(&stage.world.internal_api, internal_request(path, &body)).await;
    assert_eq!(answer.json()["outcome"], "refused");
}

#[tokio::test]
async fn found_a7_what_anybody_posts_takes_no_look_at_the_keys_from_what_the_provider_sent() {
    let stage = Stage::new().await;
    junk(&stage).await;
    let looks = stage.world.provider.hits(Endpoint::Jwks);
    // One look for all that is posted in half a minute.
    junk(&stage).await;
    assert_eq!(stage.world.provider.hits(Endpoint::Jwks), looks);
    stage.world.provider.signing_keys().rotate().unwrap();
    stage.world.provider.sign_in_as(Account::new("op-bob"));
    let bob = stage.world.kernel("bob", "");
    stage.world.connect(&bob, "bob").await;

    let stage = Stage::new().await;
    stage.advance(ENDED);
    junk(&stage).await;
    stage.world.provider.signing_keys().rotate().unwrap();
    stage.token(0).await;
}
