//! `POST /v1/connections/{id}/token` for fewer scopes, another audience or another resource.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::{Account, Endpoint, Rotation},
};
use serde_json::{Value, json};

use crate::support::{
    kernel::TestKernel,
    refresh_stage::{DUE, ENDED, LEASE, Stage, token},
    world::{Answer, WorldOptions},
};

const READ: &str = "projects:read";
const AUDIENCE: &str = "https://api.example.org";
const RESOURCE: &str = "https://api.example.org/v1";

async fn get_token_at(stage: &Stage, kernel: &TestKernel, body: Value) -> Answer {
    let path = format!("/v1/connections/{}/token", stage.connection.id);
    kernel.send(Method::POST, &path, Some(&body)).await
}

async fn get_token(stage: &Stage, body: Value) -> Answer {
    get_token_at(stage, &stage.kernel, body).await
}

fn narrow() -> Value {
    json!({"scopes": [READ]})
}

/// Authlib and oauthlib do so.
#[tokio::test]
async fn found_a8_a_provider_that_narrows_is_found_out_and_asked_so_no_more() {
    let stage = Stage::at_provider(WorldOptions::default(), |provider| {
        provider.grants().narrow();
    })
    .await;
    token(&get_token(&stage, narrow()).await);
    stage.advance(ENDED);
    let own = stage.get_token(0).await;
    assert_eq!(own.json()["scopes"], json!([READ]), "it was narrowed");
    // What it has satisfies; what it asked for once does not.
    let less = stage.kernel.create(&json!({"scopes": [READ]})).await;
    assert_eq!(less.status, StatusCode::OK, "{}", less.text());
    let wish = json!({"scopes": ["openid", READ]});
    let opened = stage.kernel.create(&wish).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text());
    // Nobody else loses scopes there.
    let bob = stage.world.kernel("bob", "");
    stage.world.provider.sign_in_as(Account::new("op-bob"));
    let his = stage.world.connect(&bob, "bob").await;
    let path = format!("/v1/connections/{}/token", his.id);
    let refused = bob.send(Method::POST, &path, Some(&narrow())).await;
    refused.assert_problem(StatusCode::FORBIDDEN, "invalid_target");
    assert!(refused.text().contains("exchange"), "{}", refused.text());
}

#[tokio::test]
async fn feature_f4_audiences_and_scopes_are_cached_apart() {
    let stage = Stage::new().await;
    let wishes = [
        narrow(),
        json!({"audience": AUDIENCE}),
        json!({"resource": RESOURCE}),
        json!({"audience": AUDIENCE, "scopes": [READ]}),
    ];
    let mut tokens = BTreeSet::from([stage.token(0).await]);
    for wish in &wishes {
        let answer = get_token(&stage, wish.clone()).await;
        assert!(tokens.insert(token(&answer)), "{wish}");
        assert_eq!(
            token(&get_token(&stage, wish.clone()).await),
            token(&answer),
            "{wish}"
        );
        if wish.get("scopes").is_some() {
            assert_eq!(answer.json()["scopes"], json!([READ]));
        }
    }
    assert_eq!(stage.asked(), wishes.len());
    assert_eq!(stage.world.provider.grants().reuses(), 0);
    assert_eq!(stage.token(0).await, stage.connection.access_token);
    let sent = stage.world.provider.requests(Endpoint::Token);
    let last = sent.last().unwrap();
    assert_eq!(last.form_value("scope").as_deref(), Some(READ));
    assert_eq!(last.form_value("audience").as_deref(), Some(AUDIENCE));
    stage.advance(ENDED);
    stage.token(0).await;
    let again: BTreeSet<_> = join_all(wishes.map(|wish| get_token(&stage, wish)))
        .await
        .iter()
        .map(token)
        .collect();
    assert!(again.is_disjoint(&tokens));
    assert_eq!(stage.asked(), 2 * tokens.len() - 1);
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn what_the_connection_is_for_anyway_is_its_own_token() {
    let stage = Stage::new().await;
    let whole = json!({"scopes": ["openid", READ]});
    assert_eq!(
        token(&get_token(&stage, whole).await),
        stage.connection.access_token
    );
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn security_k9_no_token_of_a_connection_permits_more_than_it_was_granted() {
    let stage = Stage::new().await;
    let before = stage.world.traces();
    for (body, code) in [
        (json!({"scopes": ["projects:write"]}), "scope_not_allowed"),
        (json!({"scopes": []}), "bad_request"),
        (json!({"audience": "other-api"}), "audience_not_allowed"),
        (
            json!({"resource": "https://evil.example"}),
            "resource_not_allowed",
        ),
    ] {
        get_token(&stage, body)
            .await
            .assert_problem(StatusCode::BAD_REQUEST, code);
    }
    let foreign = get_token_at(&stage, &stage.world.kernel("mallory", ""), narrow()).await;
    foreign.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(stage.world.traces(), before);
}

#[tokio::test]
async fn security_r2_scoped_and_own_tokens_share_one_refresh_token_on_memory() {
    share_one_refresh_token(&Stage::new().await).await;
}

#[tokio::test]
async fn security_r2_scoped_and_own_tokens_share_one_refresh_token_on_redis() {
    share_one_refresh_token(&Stage::on_redis().await).await;
}

async fn share_one_refresh_token(stage: &Stage) {
    stage.world.provider.grants().rotate(Rotation::Strict);
    let replicas: Vec<_> = (0..4).map(|_| stage.at(stage.world.replica())).collect();
    let wishes = [
        json!({}),
        narrow(),
        json!({"audience": AUDIENCE}),
        json!({"resource": RESOURCE}),
    ];
    stage.advance(ENDED);
    let draws = (0..160)
        .map(|kernel| get_token_at(stage, &replicas[kernel % 4], wishes[kernel / 4 % 4].clone()));
    let tokens: BTreeSet<_> = join_all(draws).await.iter().map(token).collect();
    assert_eq!(tokens.len(), 4, "one for each wish");
    assert_eq!(stage.asked(), 4);
    assert_eq!(stage.world.provider.grants().reuses(), 0);
    assert!(stage.uses().values().all(|uses| *uses == 1));
}

#[tokio::test]
async fn feature_f4_a_target_that_fails_harms_no_other_and_not_the_connection() {
    let stage = Stage::new().await;
    stage.world.provider.grants().refuse_target(RESOURCE);
    for _ in 0..3 {
        let refused = get_token(&stage, json!({"resource": RESOURCE})).await;
        refused.assert_problem(StatusCode::FORBIDDEN, "invalid_target");
        token(&get_token(&stage, narrow()).await);
        assert_eq!(stage.token(0).await, stage.connection.access_token);
    }
    assert_eq!(
        stage.asked(),
        2,
        "what was refused is not asked for again at once"
    );
    stage.advance(ENDED);
    stage.token(0).await;
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn a_refused_grant_ends_the_connection_only_if_its_own_token_is_refused_too() {
    let stage = Stage::new().await;
    let refusal = Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant");
    stage.world.provider.answer_next(Endpoint::Token, refusal);
    get_token(&stage, narrow())
        .await
        .assert_problem(StatusCode::FORBIDDEN, "invalid_target");
    stage.token(60).await;
    stage.world.provider.grants().end();
    stage.advance(LEASE);
    stage.advance(LEASE);
    get_token(&stage, narrow())
        .await
        .assert_problem(StatusCode::CONFLICT, "sign_in_required");
    stage
        .get_token(0)
        .await
        .assert_problem(StatusCode::CONFLICT, "sign_in_required");
}

#[tokio::test]
async fn security_r4_an_answer_for_a_target_that_got_lost_is_recovered_by_the_connection() {
    for (rotation, recovers) in [(Rotation::Lenient, true), (Rotation::Strict, false)] {
        let stage = Stage::new().await;
        stage.world.provider.grants().rotate(rotation);
        stage
            .world
            .provider
            .next_reply(Endpoint::Token, |reply| reply.pace = Pace::CutAfter(20));
        let lost = get_token(&stage, narrow()).await;
        lost.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "refresh_in_progress");
        assert_eq!(stage.token(0).await, stage.connection.access_token);
        stage.advance(LEASE);
        let answer = get_token(&stage, narrow()).await;
        if recovers {
            token(&answer);
        } else {
            answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        }
        assert_eq!(stage.uses().values().copied().max(), Some(2));
    }
}

#[tokio::test]
async fn a_connection_without_a_refresh_token_has_no_token_but_its_own() {
    let stage = Stage::new().await;
    stage.world.provider.grants().rotate(Rotation::Strict);
    let kernel = stage.world.kernel("alice", "gpu");
    stage.world.provider.token_responses(|answer| {
        answer.as_object_mut().unwrap().remove("refresh_token");
    });
    let connection = stage.world.connect(&kernel, "alice").await;
    let path = format!("/v1/connections/{}/token", connection.id);
    let answer = kernel.send(Method::POST, &path, Some(&narrow())).await;
    answer.assert_problem(StatusCode::FORBIDDEN, "invalid_target");
    assert_eq!(
        token(&kernel.get_token(&connection.id, 0).await),
        connection.access_token
    );
    stage.advance(DUE);
    stage.world.broker.finish(Duration::from_secs(1)).await;
}
