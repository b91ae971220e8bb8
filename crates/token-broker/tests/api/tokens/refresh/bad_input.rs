//! What no provider should answer to a refresh, and some do: nobody loses a grant by it, and each is told what is true.

use std::time::Duration;

use http::{StatusCode, header};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::{Alg, Endpoint, Rotation, SigningKey},
};
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    refresh_stage::{DUE, DUE_TO_ENDED, ENDED, LEASE, Stage, token},
};

const HOUR: Duration = Duration::from_hours(1);

/// A network's or a firewall's page, with 200, in place of tokens: it says nothing of the refresh token, which is not sent
/// again before the endpoint answers in its own words.
#[tokio::test]
async fn found_a1_a_page_with_200_in_place_of_tokens_loses_no_grant() {
    let stage = Stage::new().await;
    let page = Reply::html("<h1>Sign in to the network</h1>");
    stage.world.provider.answer(Endpoint::Token, page);
    stage.advance(DUE);
    assert_eq!(stage.token(0).await, stage.connection.access_token);
    stage.advance(DUE_TO_ENDED);
    for _ in 0..10 {
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
        stage.advance(HOUR / 10);
    }
    assert_eq!(stage.asked(), 1);
    stage.be_honest();
    stage.token(0).await;
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

/// Seconds, a date, and what is neither or too much: no kernel is told to wait longer than five minutes, and after those the
/// provider is asked again.
#[tokio::test]
async fn found_a4_what_a_provider_asks_to_wait_is_believed_within_reason() {
    const DATE: &str = "Mon, 30 Nov 2026 12:00:00 GMT";
    for (asked, longest) in [
        ("1000000000", 300),
        ("99999999999999999999", 30),
        ("-1", 30),
        ("1.5", 30),
        ("soon", 30),
        ("Mon, 30 Nov 2026 12:01:00 GMT", 60),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 300),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 30),
    ] {
        for status in [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ] {
            let stage = Stage::new().await;
            let busy = Reply::new(status);
            let busy = busy.header("retry-after", asked).header("date", DATE);
            stage.world.provider.answer_next(Endpoint::Token, busy);
            stage.advance(ENDED);
            let answer = stage.get_token(0).await;
            answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
            let wait = answer.headers[header::RETRY_AFTER].to_str().unwrap();
            let wait: u64 = wait.parse().unwrap();
            // Spread by up to a tenth, so that kernels do not come back together.
            assert!(
                (1..=longest * 11 / 10 + 1).contains(&wait),
                "{asked}: {wait}"
            );
            assert_eq!(stage.asked(), 1);
            stage.advance(Duration::from_secs(wait));
            stage.token(0).await;
            assert_eq!(stage.world.provider.grants().reuses(), 0);
        }
    }
}

/// An answer without an end, one byte a second, and one that is cut: it is given up in time, and the refresh token, which
/// may have been used, is tried once more where the provider allows that.
#[tokio::test]
async fn found_c2_an_answer_without_an_end_is_given_up_and_loses_no_grant() {
    let drip = Pace::Drip {
        bytes: 1,
        every: Duration::from_secs(1),
    };
    for pace in [Pace::Endless, drip, Pace::CutAfter(60)] {
        let stage = Stage::new().await;
        stage.world.provider.grants().rotate(Rotation::Lenient);
        let provider = &stage.world.provider;
        provider.next_reply(Endpoint::Token, move |reply| reply.pace = pace);
        stage.advance(ENDED);
        let lost = stage.get_token(0).await;
        lost.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "refresh_in_progress");
        stage.advance(LEASE);
        assert_ne!(
            stage.token(0).await,
            stage.connection.access_token,
            "{pace:?}"
        );
        assert_eq!(stage.asked(), 2, "{pace:?}");
    }
}

/// After a restart the metadata are of another issuer: no token goes there, nobody is signed out, and the operator is told.
#[tokio::test]
async fn found_b2_metadata_of_another_issuer_after_a_restart_sign_nobody_out() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    let before = stage.world.provider.hits(Endpoint::Token);
    stage.world.provider.metadata(|metadata| {
        metadata["issuer"] = json!("https://op.evil.example");
    });
    let restarted = stage.at(stage.world.restarted());
    let id = &stage.connection.id;
    stage.advance(DUE);
    assert_eq!(
        token(&restarted.get_token(id, 0).await),
        stage.connection.access_token
    );
    stage.advance(DUE_TO_ENDED);
    let answer = restarted.get_token(id, 0).await;
    answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
    assert_eq!(stage.world.provider.hits(Endpoint::Token), before);
    assert!(!trail.has("grant_ended") && !trail.has("grant_suspended"));
    stage.be_honest();
    stage.advance(LEASE);
    assert_ne!(
        token(&restarted.get_token(id, 0).await),
        stage.connection.access_token
    );
}

/// Two providers behind one name: what the other half signed is not believed. As with any key that is out of reach, its
/// person is asked after a quarter of an hour, and the half that answers then has the grant.
#[tokio::test]
async fn found_b4_what_the_other_half_of_a_provider_signed_is_not_believed() {
    let stage = Stage::new().await;
    let other_half = SigningKey::generate(Alg::Rs256, 50).unwrap();
    stage
        .world
        .provider
        .next_id_token(move |token| token.sign_with(&other_half));
    stage.advance(DUE);
    assert_eq!(stage.token(0).await, stage.connection.access_token);
    stage.advance(DUE_TO_ENDED);
    let unknown = stage.get_token(0).await;
    unknown.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    stage.advance(Duration::from_mins(15));
    let unknown = stage.get_token(0).await;
    unknown.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert_eq!(stage.asked(), 1);
    let again = stage.world.connect(&stage.kernel, "alice").await;
    let fresh = token(&stage.kernel.get_token(&again.id, 0).await);
    assert_ne!(fresh, stage.connection.access_token);
}
