//! Refusals of a refresh that do not say that the grant is gone (ADR 49).

use std::time::Duration;

use http::StatusCode;
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::{Account, Endpoint, Rotation},
};
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    kernel::{Connected, TestKernel, connected},
    refresh_stage::{DUE, DUE_TO_ENDED, ENDED, LEASE, Stage, token},
    world::WorldOptions,
};

const HOUR: Duration = Duration::from_hours(1);
const LAB: &str = r#"{"provider": "lab-api"}"#;

/// How providers and what stands before them refuse, none of it in the standard's word for a dead token.
fn refusals() -> Vec<(&'static str, Reply)> {
    let oauth = |status, code| Reply::oauth_error(status, code);
    let bad = StatusCode::BAD_REQUEST;
    let page = || Reply::html("<html><h1>Access denied</h1></html>");
    let own = json!({ "errors": [{ "errorType": "expired" }], "success": false });
    let odd = json!({ "error": { "code": 401, "status": "UNAUTHENTICATED" } });
    vec![
        ("invalid_request", oauth(bad, "invalid_request")),
        ("invalid_token", oauth(bad, "invalid_token")),
        ("no code", Reply::new(bad)),
        (
            "forbidden client",
            oauth(StatusCode::FORBIDDEN, "unauthorized_client"),
        ),
        ("refused client", oauth(bad, "unauthorized_client")),
        ("own form", Reply::json(&own).with_status(bad)),
        ("odd form", Reply::json(&odd).with_status(bad)),
        ("page 400", page().with_status(bad)),
        ("firewall", page().with_status(StatusCode::FORBIDDEN)),
        ("no document", Reply::new(StatusCode::UNAUTHORIZED)),
        ("gone", page().with_status(StatusCode::GONE)),
        ("moved", Reply::new(StatusCode::NOT_FOUND)),
        ("method", Reply::new(StatusCode::METHOD_NOT_ALLOWED)),
        ("grant type", oauth(bad, "unsupported_grant_type")),
        ("interaction", oauth(bad, "interaction_required")),
        ("scope", oauth(bad, "invalid_scope")),
        ("own code", oauth(bad, "ERR_TOKEN_EXPIRED")),
        (
            "login page",
            Reply::redirect(StatusCode::FOUND, "https://sso.example/login"),
        ),
    ]
}

async fn ask(kernel: &TestKernel) -> crate::support::world::Answer {
    kernel.create(&serde_json::from_str(LAB).unwrap()).await
}

#[tokio::test]
async fn found_a1_a_refusal_in_other_words_gives_the_link_and_loses_nothing() {
    for (name, reply) in refusals() {
        let trail = AuditTrail::begin();
        let stage = Stage::new().await;
        stage.world.provider.answer(Endpoint::Token, reply);
        stage.advance(DUE);
        let usable = stage.token(0).await;
        assert_eq!(usable, stage.connection.access_token, "{name}");
        stage.advance(DUE_TO_ENDED);
        for _ in 0..3 {
            let answer = stage.get_token(0).await;
            answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        }
        assert_eq!(stage.asked(), 1, "{name}");
        assert!(trail.says("grant_suspended", "reason=refused"), "{name}");
        assert!(stage.kernel.connections().await.is_empty(), "{name}");
        let opened = ask(&stage.kernel).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{name}");
        assert_eq!(opened.json()["cause"], "not_renewed", "{name}");
        stage.be_honest();
        stage.advance(HOUR);
        stage.token(0).await;
        assert_eq!(stage.asked(), 2, "{name}");
        assert_eq!(stage.world.provider.grants().reuses(), 0, "{name}");
    }
}

#[tokio::test]
async fn found_a1_the_standards_word_ends_a_grant_at_once() {
    let stage = Stage::new().await;
    stage.world.provider.grants().end();
    stage.advance(ENDED);
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    stage.advance(2 * HOUR);
    stage.get_token(0).await;
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn found_a1_one_passing_refusal_ends_nothing() {
    let stage = Stage::new().await;
    let page = Reply::html("<h1>blocked</h1>").with_status(StatusCode::FORBIDDEN);
    stage.world.provider.answer_next(Endpoint::Token, page);
    stage.advance(ENDED);
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    stage.advance(HOUR);
    assert_ne!(stage.token(0).await, stage.connection.access_token);
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn found_a1_a_wrong_client_secret_loses_no_grant() {
    for word in ["invalid_client", "unauthorized_client"] {
        let trail = AuditTrail::begin();
        let stage = Stage::new().await;
        let refusal = Reply::oauth_error(StatusCode::UNAUTHORIZED, word);
        stage.world.provider.answer(Endpoint::Token, refusal);
        stage.advance(ENDED);
        for _ in 0..4 {
            let answer = stage.get_token(0).await;
            answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
            stage.advance(LEASE);
        }
        assert!(trail.says("provider_failed", "reason=registration_refused"));
        assert!(!trail.has("grant_suspended"), "{word}");
        stage.be_honest();
        stage.token(0).await;
    }
}

#[tokio::test]
async fn found_a1_the_word_for_a_wrong_client_that_only_this_token_meets_suspends() {
    let stage = Stage::new().await;
    let refusal = Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
    // The token that never was meets the standard's word.
    stage.world.provider.answer_next(Endpoint::Token, refusal);
    stage.advance(ENDED);
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    stage.advance(HOUR);
    stage.token(0).await;
}

/// A hundred people, each with a server of their own.
async fn crowd(stage: &Stage) -> Vec<(TestKernel, Connected)> {
    let mut crowd = Vec::new();
    for number in 0..100 {
        let user = format!("user-{number}");
        let account = Account::new(&format!("op-{user}"));
        stage.world.provider.sign_in_as(account);
        let kernel = stage.world.kernel(&user, "");
        let connection = stage.world.connect(&kernel, &user).await;
        crowd.push((kernel, connection));
    }
    crowd
}

#[tokio::test]
async fn found_a1_an_hour_of_refusals_for_all_loses_none_of_a_hundred_grants() {
    let page = Reply::html("<h1>blocked</h1>").with_status(StatusCode::FORBIDDEN);
    let wrong = Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request");
    for refusal in [page, wrong] {
        let stage = Stage::new().await;
        let crowd = crowd(&stage).await;
        stage.world.provider.answer(Endpoint::Token, refusal);
        stage.advance(ENDED);
        for minute in 0..60 {
            for (kernel, connection) in &crowd[minute..=minute + 40] {
                kernel
                    .get_token(&connection.id, 0)
                    .await
                    .assert_problem(StatusCode::CONFLICT, "sign_in_required");
            }
            stage.advance(Duration::from_mins(1));
        }
        assert_eq!(stage.asked(), crowd.len(), "each at most once in its hour");
        stage.be_honest();
        let mut lost = 0;
        for (kernel, connection) in &crowd {
            let token_answer = kernel.get_token(&connection.id, 0).await;
            lost += usize::from(token_answer.status != StatusCode::OK);
        }
        // Most are tried before their hour is over: the first that works says so to all.
        assert_eq!((lost, stage.world.provider.grants().reuses()), (0, 0));
    }
}

#[tokio::test]
async fn found_a1_a_token_that_is_dead_in_other_words_is_let_go_at_the_next_sign_in() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    stage.world.provider.grants().end();
    // As Dex has it: any refresh token that it does not know is a wrong request.
    stage.world.provider.replies(Endpoint::Token, |reply| {
        if reply.status == StatusCode::BAD_REQUEST {
            *reply = Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request");
        }
    });
    stage.advance(ENDED);
    stage
        .get_token(0)
        .await
        .assert_problem(StatusCode::CONFLICT, "sign_in_required");
    let again = stage.world.connect(&stage.kernel, "alice").await;
    assert_ne!(again.id, stage.connection.id);
    token(&stage.kernel.get_token(&again.id, 0).await);
    assert!(trail.says("grant_ended", "reason=replaced"));
    stage.advance(2 * HOUR);
    stage
        .get_token(0)
        .await
        .assert_problem(StatusCode::CONFLICT, "sign_in_required");
    let uses = stage.uses();
    assert_eq!(uses.values().copied().max(), Some(1), "{uses:?}");
    assert_eq!(connected(&ask(&stage.kernel).await.json()).id, again.id);
}

#[tokio::test]
async fn found_a1_a_server_that_shares_a_connection_gets_the_link_too() {
    let stage = Stage::with(WorldOptions {
        connection_scope: hubkey_domain::provider::ConnectionScope::User,
        ..WorldOptions::default()
    })
    .await;
    let other = stage.world.kernel("alice", "other");
    let shared = connected(&ask(&other).await.json());
    assert_eq!(shared.id, stage.connection.id);
    let refusal = Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request");
    stage.world.provider.answer(Endpoint::Token, refusal);
    stage.advance(ENDED);
    let third = stage.world.kernel("alice", "third");
    for kernel in [&other, &third] {
        assert_eq!(ask(kernel).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn found_a2_connect_opens_a_sign_in_unless_it_is_worth_waiting() {
    let cases = [
        (
            Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client"),
            Some("registration_refused"),
        ),
        (
            Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request"),
            Some("not_renewed"),
        ),
        (
            Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant"),
            Some("access_ended"),
        ),
        (
            Reply::new(StatusCode::TOO_MANY_REQUESTS).header("retry-after", "20"),
            None,
        ),
        (Reply::new(StatusCode::SERVICE_UNAVAILABLE), None),
    ];
    for (reply, cause) in cases {
        let stage = Stage::new().await;
        stage.world.provider.answer(Endpoint::Token, reply);
        stage.advance(ENDED);
        let answer = ask(&stage.kernel).await;
        let Some(cause) = cause else {
            answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
            continue;
        };
        assert_eq!(answer.status, StatusCode::CREATED, "{cause}");
        assert_eq!(answer.json()["cause"], cause);
        let existing = json!({ "provider": "lab-api", "interactive": false });
        let answer = stage.kernel.create(&existing).await;
        answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    }
}

#[tokio::test]
async fn found_a2_the_first_sign_in_has_no_cause() {
    let stage = Stage::new().await;
    let first = ask(&stage.world.kernel("bob", "")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert!(first.json().get("cause").is_none());
}

#[tokio::test]
async fn found_a3_after_a_lost_answer_a_refresh_token_is_not_sent_a_third_time() {
    let later = [
        ("busy", Reply::new(StatusCode::TOO_MANY_REQUESTS)),
        ("down", Reply::new(StatusCode::SERVICE_UNAVAILABLE)),
        ("broken", Reply::new(StatusCode::BAD_GATEWAY)),
    ];
    for (name, second) in refusals().into_iter().chain(later) {
        let trail = AuditTrail::begin();
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.next_reply(Endpoint::Token, |reply| reply.pace = Pace::CutAfter(20));
        stage.advance(ENDED);
        stage.get_token(0).await;
        stage.advance(LEASE);
        // The token that never was meets the standard's word, then the second sending is refused so.
        let probed = Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant");
        provider.answer_next(Endpoint::Token, probed);
        provider.answer_next(Endpoint::Token, second);
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        for _ in 0..5 {
            stage.advance(LEASE);
            let answer = stage.get_token(0).await;
            answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        }
        let sent: Vec<_> = stage.uses().into_values().collect();
        assert_eq!(sent, [2], "{name}");
        assert!(!trail.has("token_refreshed"), "{name}");
        assert_eq!(ask(&stage.kernel).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn found_a3_a_refused_registration_keeps_the_second_try() {
    let stage = Stage::new().await;
    let provider = &stage.world.provider;
    provider.grants().rotate(Rotation::Lenient);
    provider.next_reply(Endpoint::Token, |reply| reply.pace = Pace::CutAfter(20));
    stage.advance(ENDED);
    stage.get_token(0).await;
    let refusal = Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
    provider.answer(Endpoint::Token, refusal);
    for _ in 0..3 {
        stage.advance(LEASE);
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
    }
    assert_eq!(stage.asked(), 1);
    stage.be_honest();
    stage.advance(LEASE);
    stage.token(0).await;
}

#[tokio::test]
async fn found_a4_every_whole_answer_of_4xx_says_that_the_endpoint_works() {
    for (name, words) in refusals() {
        if words.status.is_redirection() {
            continue;
        }
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.grants().rotate(Rotation::Lenient);
        provider.next_reply(Endpoint::Token, |reply| reply.pace = Pace::CutAfter(20));
        stage.advance(ENDED);
        stage.get_token(0).await;
        stage.advance(LEASE);
        provider.answer_next(Endpoint::Token, words);
        assert_eq!(stage.get_token(0).await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn found_a4_5xx_429_and_silence_do_not() {
    for status in [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.next_reply(Endpoint::Token, |reply| reply.pace = Pace::CutAfter(20));
        stage.advance(ENDED);
        stage.get_token(0).await;
        stage.advance(LEASE);
        provider.answer_next(Endpoint::Token, Reply::new(status));
        let answer = stage.get_token(0).await;
        answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
        assert_eq!(stage.asked(), 1, "{status}");
    }
}

#[tokio::test]
async fn found_a4_a_sign_in_after_an_outage_does_not_meet_the_witness() {
    for (name, words) in refusals().into_iter().step_by(3) {
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.answer(Endpoint::Token, Reply::new(StatusCode::BAD_GATEWAY));
        // Until the endpoint is left alone: each of these spends a code.
        for number in 0..5 {
            let user = format!("user-{number}");
            let kernel = stage.world.kernel(&user, "");
            let sign_in = kernel.open().await;
            stage.world.browser(&user).sign_in(&sign_in).await;
        }
        let spent = provider.hits(Endpoint::Token);
        stage.be_honest();
        stage.advance(Duration::from_mins(1));
        provider.answer_next(Endpoint::Token, words);
        provider.sign_in_as(Account::new("op-bob"));
        let bob = stage.world.kernel("bob", "");
        stage.world.connect(&bob, "bob").await;
        let asked = provider.hits(Endpoint::Token) - spent;
        assert_eq!(asked, 2, "{name}: the token that never was, then the code");
    }
}
