//! What providers answer to a refresh, and what comes of it.

use http::StatusCode;
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::{Draft, Endpoint, Rotation},
};
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    refresh_stage::{DUE, DUE_TO_ENDED, ENDED, LEASE, Stage},
};

#[tokio::test]
async fn security_r9_a_grant_that_is_gone_ends_the_connection_and_is_asked_for_once() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    stage.world.provider.grants().end();
    stage.advance(ENDED);
    let draws = (0..50).map(|_| stage.get_token(0));
    for answer in futures_util::future::join_all(draws).await {
        answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    }
    stage
        .at(stage.world.replica())
        .get_token(&stage.connection.id, 0)
        .await
        .assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert_eq!(stage.asked(), 1);
    assert!(trail.says("grant_ended", "reason=invalid_grant"));
    assert!(stage.kernel.connections().await.is_empty());
    let again = stage.world.connect(&stage.kernel, "alice").await;
    assert_ne!(again.id, stage.connection.id);
}

#[tokio::test]
async fn feature_f5_a_token_of_a_grant_that_is_gone_is_not_handed_out() {
    let stage = Stage::new().await;
    stage.world.provider.grants().end();
    stage.advance(DUE);
    for _ in 0..2 {
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    }
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn security_r7_refresh_tokens_of_odd_forms() {
    for (odd, tokens) in [(json!(""), 1), (Value::Null, 1)] {
        let stage = Stage::new().await;
        stage.world.provider.grants().rotate(Rotation::Keep);
        stage
            .world
            .provider
            .token_responses(move |answer| answer["refresh_token"] = odd.clone());
        stage.advance(ENDED);
        stage.token(0).await;
        stage.advance(DUE);
        stage.token(0).await;
        assert_eq!((stage.uses().len(), stage.asked()), (tokens, 2));
    }
    // A number is no refresh token and no absent one: nobody knows what is good now, and one try is left.
    let stage = Stage::new().await;
    stage.world.provider.next_reply(Endpoint::Token, |reply| {
        reply.edit_json(|answer| answer["refresh_token"] = json!(7));
    });
    stage.world.provider.grants().rotate(Rotation::Lenient);
    stage.advance(ENDED);
    let unknown = stage.get_token(0).await;
    unknown.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "refresh_in_progress");
    stage.advance(LEASE);
    stage.token(0).await;
    assert_eq!(stage.uses().values().copied().max(), Some(2));
}

#[tokio::test]
async fn security_r8_lifetimes_of_odd_forms() {
    for (odd, known) in [
        (json!(-1), None),
        (json!("3600"), Some(3600)),
        (json!(1e300), None),
        (json!(null), None),
        // It would have ended when it came: found a5.
        (json!(0), None),
    ] {
        let stage = Stage::new().await;
        let said = odd.clone();
        stage
            .world
            .provider
            .token_responses(move |answer| answer["expires_in"] = said.clone());
        stage.advance(ENDED);
        let answer = stage.get_token(0).await;
        let end = known.map(|seconds: u64| {
            hubkey_domain::clock::Clock::now(stage.world.clock.as_ref()).as_secs() + seconds
        });
        assert_eq!(answer.json()["expires_at"].as_u64(), end, "{odd}");
    }
}

#[tokio::test]
async fn security_r11_an_outage_serves_what_is_valid_and_signs_nobody_out() {
    let stage = Stage::new().await;
    stage.world.provider.set_up(false);
    stage.advance(DUE);
    assert_eq!(stage.token(0).await, stage.connection.access_token);
    stage.advance(DUE_TO_ENDED);
    let down = stage.get_token(0).await;
    down.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    stage.world.provider.set_up(true);
    stage.advance(LEASE);
    assert_ne!(stage.token(0).await, stage.connection.access_token);
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn security_r11_a_refusal_for_now_rests_as_long_as_the_provider_says() {
    let busy = |status| Reply::new(status).header("retry-after", "20");
    let temporary = Reply::oauth_error(StatusCode::BAD_REQUEST, "temporarily_unavailable");
    for reply in [
        busy(StatusCode::TOO_MANY_REQUESTS),
        busy(StatusCode::SERVICE_UNAVAILABLE),
        temporary.header("retry-after", "20"),
    ] {
        let stage = Stage::new().await;
        stage.world.provider.answer_next(Endpoint::Token, reply);
        stage.advance(ENDED);
        for _ in 0..3 {
            let answer = stage.get_token(0).await;
            answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
        }
        assert_eq!(stage.asked(), 1);
        stage.advance(std::time::Duration::from_secs(23));
        stage.token(0).await;
        assert_eq!(stage.world.provider.grants().reuses(), 0);
    }
}

#[tokio::test]
async fn a_registration_that_the_provider_refuses_is_the_operators_matter() {
    for word in ["invalid_client", "unauthorized_client"] {
        let stage = Stage::new().await;
        let refusal = Reply::oauth_error(StatusCode::UNAUTHORIZED, word);
        stage.world.provider.answer(Endpoint::Token, refusal);
        stage.advance(DUE);
        assert_eq!(stage.token(0).await, stage.connection.access_token);
        stage.advance(DUE_TO_ENDED);
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
        stage.be_honest();
        stage.advance(LEASE);
        stage.token(0).await;
    }
}

type Lie = fn(&mut Draft);

#[tokio::test]
async fn security_p60_p61_p62_an_id_token_of_somebody_else_ends_the_grant() {
    let lies: [(&str, Lie); 6] = [
        ("id_token_sub", |draft| draft.claim("sub", "op-mallory")),
        ("id_token_iss", |draft| {
            draft.claim("iss", "https://evil.example");
        }),
        ("id_token_aud", |draft| draft.claim("aud", "other-client")),
        ("id_token_nonce", |draft| draft.claim("nonce", "another")),
        ("id_token_iat", |draft| draft.shift("iat", -400)),
        ("id_token_signature", Draft::break_signature),
    ];
    for (word, lie) in lies {
        let trail = AuditTrail::begin();
        let stage = Stage::new().await;
        stage.advance(ENDED);
        stage.world.provider.next_id_token(lie);
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        assert!(
            trail.says("account_link_conflict", &format!("reason={word}")),
            "{word}"
        );
        let again = stage.get_token(0).await;
        again.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        assert_eq!(stage.asked(), 1, "{word}");
        let revoked = stage.world.provider.revoked();
        assert_eq!(revoked.len(), 2, "{word}: both new tokens are given back");
        assert!(!revoked.contains(&stage.connection.access_token));
    }
}

#[tokio::test]
async fn found_b6_another_time_of_authentication_signs_nobody_out() {
    for shift in [-3600, 60, 86_400] {
        let stage = Stage::new().await;
        stage.advance(ENDED);
        stage
            .world
            .provider
            .next_id_token(move |draft| draft.shift("auth_time", shift));
        let first = stage.token(0).await;
        assert_ne!(first, stage.connection.access_token);
        stage.advance(ENDED);
        assert_ne!(stage.token(0).await, first);
        assert_eq!(stage.world.provider.revoked().len(), 0);
    }
}

#[tokio::test]
async fn a_refresh_needs_no_id_token() {
    let stage = Stage::new().await;
    stage.world.provider.token_responses(|answer| {
        answer.as_object_mut().unwrap().remove("id_token");
    });
    stage.advance(ENDED);
    stage.token(0).await;
    assert_eq!(stage.world.provider.revoked().len(), 0);
}

#[tokio::test]
async fn security_r4_an_answer_that_got_lost_is_asked_for_once_more_and_never_again() {
    for (rotation, recovers) in [(Rotation::Lenient, true), (Rotation::Strict, false)] {
        let trail = AuditTrail::begin();
        let stage = Stage::new().await;
        stage.world.provider.grants().rotate(rotation);
        stage.world.provider.next_reply(Endpoint::Token, |reply| {
            reply.pace = Pace::CutAfter(20);
        });
        stage.advance(DUE);
        assert_eq!(stage.token(0).await, stage.connection.access_token);
        stage.advance(std::time::Duration::from_secs(14));
        assert_eq!(stage.token(0).await, stage.connection.access_token);
        assert_eq!(stage.asked(), 1, "too early to try again");
        stage.advance(LEASE);
        let answer = stage.get_token(0).await;
        if recovers {
            assert_eq!(answer.status, StatusCode::OK);
        } else {
            answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
            assert!(trail.has("reuse_detected"));
        }
        stage.get_token(0).await;
        assert_eq!(stage.uses().values().copied().collect::<Vec<_>>(), [2]);
    }
}

#[tokio::test]
async fn security_r4_a_provider_that_answers_nothing_is_not_asked_the_last_time() {
    let stage = Stage::new().await;
    stage.world.provider.grants().rotate(Rotation::Lenient);
    let broken = Reply::new(StatusCode::BAD_GATEWAY);
    stage.world.provider.answer(Endpoint::Token, broken.clone());
    stage.world.provider.answer(Endpoint::Jwks, broken);
    stage.advance(DUE);
    stage.token(0).await;
    for _ in 0..4 {
        stage.advance(LEASE);
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    }
    assert_eq!(stage.asked(), 1);
    stage.be_honest();
    stage.advance(LEASE);
    stage.token(0).await;
}
