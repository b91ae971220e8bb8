//! `DELETE /v1/connections/{id}`

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::{Endpoint, HostileProvider},
};
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    kernel::TestKernel,
    refresh_stage::{ENDED, Stage},
    world::{Answer, WorldOptions},
};

async fn sign_out(kernel: &TestKernel, connection: &str) -> Answer {
    let path = format!("/v1/connections/{connection}");
    kernel.send(Method::DELETE, &path, None).await
}

/// Until the provider was told to forget so many tokens.
async fn revoked(stage: &Stage, count: usize) -> Vec<String> {
    for _ in 0..1000 {
        let revoked = stage.world.provider.revoked();
        if revoked.len() >= count {
            return revoked;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("revoked: {}", stage.world.provider.revoked().len());
}

#[tokio::test]
async fn feature_e6_g7_need_10_a_sign_out_forgets_and_revokes() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    let done = sign_out(&stage.kernel, &stage.connection.id).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert!(trail.says("grant_ended", "reason=sign_out"));
    let tokens = revoked(&stage, 2).await;
    assert!(tokens.contains(&stage.connection.access_token));
    assert!(stage.kernel.connections().await.is_empty());
    for gone in [
        stage.get_token(0).await,
        sign_out(&stage.kernel, &stage.connection.id).await,
    ] {
        gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
    }
    let again = stage.kernel.create(&json!({})).await;
    assert_eq!(again.status, StatusCode::CREATED, "needs a new sign-in");
}

type Prepare = fn(&HostileProvider);

/// What the provider knows and what is only forgotten here are two words.
#[tokio::test]
async fn found_h10_the_trail_says_whether_the_provider_knows() {
    let cases: [(&str, Prepare, &str, &str); 3] = [
        ("told", |_| {}, "token_revoked", "reason=revoked"),
        (
            "no endpoint",
            |provider| provider.metadata(|all| all["revocation_endpoint"] = json!(null)),
            "token_forgotten",
            "reason=no_revocation_endpoint",
        ),
        (
            "refused",
            |provider| {
                let refusal = Reply::oauth_error(StatusCode::BAD_REQUEST, "unsupported_token_type");
                provider.answer(Endpoint::Revocation, refusal);
            },
            "token_forgotten",
            "reason=revocation_refused",
        ),
    ];
    for (name, prepare, event, reason) in cases {
        let trail = AuditTrail::begin();
        let stage = Stage::at_provider(WorldOptions::default(), prepare).await;
        sign_out(&stage.kernel, &stage.connection.id).await;
        stage.world.broker.finish(Duration::from_secs(5)).await;
        assert!(trail.says("grant_ended", "reason=sign_out"), "{name}");
        assert!(trail.says(event, reason), "{name}: {:?}", trail.events());
        let other = ["token_revoked", "token_forgotten"]
            .into_iter()
            .find(|other| *other != event);
        assert!(!trail.has(other.unwrap()), "{name}");
    }
}

#[tokio::test]
async fn need_10_a_sign_out_does_not_wait_for_the_provider() {
    let stage = Stage::new().await;
    let silent = Reply::new(StatusCode::OK).paced(Pace::Never);
    stage.world.provider.answer(Endpoint::Revocation, silent);
    let patience = Duration::from_secs(2);
    let done = tokio::time::timeout(patience, sign_out(&stage.kernel, &stage.connection.id)).await;
    assert_eq!(done.unwrap().status, StatusCode::NO_CONTENT);
    let gone = stage.get_token(0).await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn security_r12_a_provider_that_asks_to_come_later_is_told_later() {
    let stage = Stage::new().await;
    let provider = &stage.world.provider;
    let busy = Reply::new(StatusCode::SERVICE_UNAVAILABLE).header("retry-after", "2");
    provider.answer_next(Endpoint::Revocation, busy);
    let unknown = Reply::oauth_error(StatusCode::BAD_REQUEST, "unsupported_token_type");
    let began = std::time::Instant::now();
    sign_out(&stage.kernel, &stage.connection.id).await;
    revoked(&stage, 2).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "as it asked");
    stage.world.broker.finish(Duration::from_secs(5)).await;
    assert_eq!(provider.hits(Endpoint::Revocation), 3);

    // A provider that takes no refresh tokens is told of the access token all the same, and once.
    let stage = Stage::new().await;
    stage
        .world
        .provider
        .answer_next(Endpoint::Revocation, unknown);
    sign_out(&stage.kernel, &stage.connection.id).await;
    stage.world.broker.finish(Duration::from_secs(5)).await;
    let told = stage.world.provider.requests(Endpoint::Revocation);
    let told = told.iter().map(|told| told.form_value("token_type_hint"));
    let both = ["refresh_token", "access_token"].map(|hint| Some(hint.to_owned()));
    assert_eq!(told.collect::<Vec<_>>(), both);
}

#[tokio::test]
async fn security_i7_nobody_ends_the_connection_of_another_kernel() {
    let stage = Stage::new().await;
    let unknown = sign_out(&stage.kernel, "abcdef.AAAAAAAAAAAAAAAAAAAAAA").await;
    for other in [
        stage.world.kernel("mallory", ""),
        stage.world.kernel("alice", "gpu"),
        stage.world.kernel("alice", ""),
    ] {
        let refused = sign_out(&other, &stage.connection.id).await;
        refused.assert_problem(StatusCode::NOT_FOUND, "not_found");
        assert_eq!(refused, unknown);
    }
    stage.token(0).await;
    assert!(stage.world.provider.revoked().is_empty());
}

#[tokio::test]
async fn need_10_what_a_refresh_brings_after_the_sign_out_is_revoked_too() {
    let stage = Stage::new().await;
    stage.world.provider.next_reply(Endpoint::Token, |reply| {
        reply.pace = Pace::After(Duration::from_millis(300));
    });
    stage.advance(ENDED);
    let (token_answer, done) = tokio::join!(stage.get_token(0), async {
        stage.until_asked(1).await;
        sign_out(&stage.kernel, &stage.connection.id).await
    });
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    token_answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
    let tokens = revoked(&stage, 4).await;
    assert!(tokens.contains(&stage.connection.access_token));
}
