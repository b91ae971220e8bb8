//! Codes, ID tokens and answers as long as they occur, and what comes of those that are longer than hubkey takes.

use std::time::{Duration, Instant};

use hubkey_fakes::hostile_provider::{Draft, Endpoint, TokenKind};
use hubkey_protocol::{
    bounds::{Beyond, Bound, BoundGroup},
    internal::TooLong,
};
use serde_json::{Value, json};

use crate::support::{
    attempt::opened_by,
    audit::AuditTrail,
    browser::parameter,
    kernel::TestKernel,
    outcome::{assert_no_connection, assert_refused, exchanges, failure, returning},
    refresh_stage::{DUE, ENDED, Stage},
    world::World,
};

const ID_TOKEN: usize = Bound::IdToken.limit();
const ANSWER: usize = Bound::ProviderAnswer.limit();

/// Groups in an ID token that is then about so long.
pub(super) fn fill(token: &mut Draft, length: usize) {
    const SIGNATURE: usize = 342;
    const HEADER: usize = 120;
    let claims = (length - SIGNATURE - HEADER) / 4 * 3;
    let group = "00000000-0000-4000-8000-000000000000";
    let left = claims.saturating_sub(token.claims.to_string().len() + 20);
    let groups = vec![group; left / (group.len() + 3)];
    token.claim("groups", groups);
}

/// Pads an ID token until it has exactly so many characters.
pub(super) fn pad(token: &mut Draft, length: usize) {
    fill(token, length - 400);
    token.finish(move |text| {
        let parts: Vec<_> = text.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            panic!("three parts");
        };
        // Only its length counts: what is longer is not looked at.
        let more = "A".repeat(length.saturating_sub(text.len()));
        format!("{header}.{payload}{more}.{signature}")
    });
}

async fn signs_in(world: &World, server: &str) -> (TestKernel, String) {
    let kernel = world.kernel("alice", server);
    let connection = world.connect(&kernel, "alice").await;
    (kernel, connection.access_token)
}

#[tokio::test]
async fn found_c1_codes_of_eight_kib_are_redeemed() {
    let world = World::new().await;
    for length in [3100, 3900, 4100, 5000, 8192] {
        world.provider.capabilities().use_codes_of(length);
        signs_in(&world, &format!("server-{length}")).await;
        let sent = world.provider.requests(Endpoint::Token);
        let code = sent.last().and_then(|request| request.form_value("code"));
        assert_eq!(code.map(|code| code.len()), Some(length));
    }
}

/// How callback-server tells of what it finds too long, and the audit stream's word. Each row that ends a sign-in there has
/// one.
fn found_by_callback_server(bound: Bound) -> Option<(TooLong, &'static str)> {
    let row = bound.row();
    let is_there = matches!(row.group, BoundGroup::Request | BoundGroup::CallbackServer);
    if !is_there || !matches!(row.beyond, Beyond::EndsSignIn(_)) {
        return None;
    }
    Some(match bound {
        Bound::Code => (TooLong::Code, "code_too_long"),
        Bound::ResponseIssuer => (TooLong::Issuer, "issuer_too_long"),
        Bound::PublicAddress => (TooLong::Address, "address_too_long"),
        Bound::PublicHead => (TooLong::Header, "header_too_long"),
        _ => panic!("{} has no probe", row.name),
    })
}

#[tokio::test]
async fn found_c1_what_was_too_long_ends_the_sign_in_at_both_ends() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    for bound in Bound::ALL.iter().copied() {
        let Some((what, audited)) = found_by_callback_server(bound) else {
            continue;
        };
        let Beyond::EndsSignIn(ends) = bound.row().beyond else {
            panic!("{audited} ends a sign-in");
        };
        let reason = ends.name();
        let kernel = world.kernel("alice", audited);
        let sign_in = kernel.open().await;
        let mut browser = world.browser("alice");
        let back = returning(&mut browser, &sign_in).await;
        let poll = kernel.start_poll(&sign_in);
        let mut body = browser.returned(&back);
        body["too_long"] = json!(what);
        // Neither counts beside it.
        body["error"] = json!("access_denied");
        let begun = Instant::now();
        let reply = browser.ask("callback/lab-api", &body).await;
        let page = browser.view(reply.flow()).await;
        assert_eq!(page.page()["reason"], reason);
        poll.await.unwrap();
        assert_eq!(failure(&kernel, &sign_in).await, reason);
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_no_connection(&kernel).await;
        assert!(trail.says("provider_failed", &format!("reason={audited}")));
        // The state is used up like any other.
        assert_refused(&browser.callback("lab-api", &back).await, "forbidden");
    }
    assert_eq!(exchanges(&world), 0);
}

#[tokio::test]
async fn found_c1_nobody_else_ends_a_sign_in_by_something_too_long() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let honest = browser.returned(&back);
    for (name, value) in [
        ("state", json!("abcdef.invented")),
        (
            "state",
            json!(format!("{}x", parameter(&back, "state").unwrap())),
        ),
        ("state", json!(&sign_in.nonce[..6])),
    ] {
        let mut body = honest.clone();
        body[name] = value;
        body["too_long"] = json!("code");
        assert_refused(&browser.ask("callback/lab-api", &body).await, "forbidden");
        assert_eq!(kernel.state(&sign_in).await, "pending");
    }
    // As with any other state: in the wrong browser it ends the sign-in as denied, and says nothing.
    let mut body = honest;
    body["flow_cookie"] = Value::Null;
    body["too_long"] = json!("code");
    assert_refused(&browser.ask("callback/lab-api", &body).await, "forbidden");
    assert_eq!(kernel.state(&sign_in).await, "denied");
}

#[tokio::test]
async fn found_c2_id_tokens_as_they_occur_sign_in_and_refresh() {
    for length in [17_000, 20_000, 40_000, ID_TOKEN - 1000] {
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.id_tokens(move |token| fill(token, length));
        signs_in(&stage.world, "other").await;
        stage.advance(DUE);
        assert_ne!(stage.token(60).await, stage.connection.access_token);
        assert_eq!(stage.asked(), 1);
    }
}

#[tokio::test]
async fn found_c2_an_id_token_beyond_the_limit_ends_both_ends_in_true_words() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    for (length, reason, failed) in [
        // The longest is looked at: its claims were broken by the padding.
        (
            ID_TOKEN,
            "provider_protocol_error",
            "provider_protocol_error",
        ),
        (ID_TOKEN + 1, "answer_too_long", "answer_too_long"),
        (200_000, "answer_too_long", "answer_too_long"),
        (ANSWER + 1, "answer_too_long", "answer_too_long"),
    ] {
        let kernel = world.kernel("alice", &format!("server-{length}"));
        let sign_in = kernel.open().await;
        let mut browser = world.browser("alice");
        let back = returning(&mut browser, &sign_in).await;
        world
            .provider
            .next_id_token(move |token| pad(token, length));
        let begun = Instant::now();
        let reply = browser.callback("lab-api", &back).await;
        let page = browser.view(reply.flow()).await;
        assert_eq!(page.page()["reason"], reason, "{length}");
        assert_eq!(failure(&kernel, &sign_in).await, failed, "{length}");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_no_connection(&kernel).await;
    }
    assert!(trail.says("provider_failed", "reason=id_token_too_long"));
    assert!(trail.says("provider_failed", "reason=answer_too_long"));
}

#[tokio::test]
async fn found_c2_an_id_token_of_a_refresh_beyond_the_limit_asks_the_person() {
    let stage = Stage::new().await;
    stage
        .world
        .provider
        .next_id_token(|token| pad(token, ID_TOKEN + 1));
    stage.advance(ENDED);
    let answer = stage.get_token(0).await;
    answer.assert_problem(http::StatusCode::CONFLICT, "sign_in_required");
    stage.world.connect(&stage.kernel, "alice").await;
}

#[tokio::test]
async fn found_c2_long_access_tokens_are_delivered_and_kept() {
    for length in [20_000, 100_000] {
        let stage = Stage::new().await;
        let provider = &stage.world.provider;
        provider.capabilities().use_jwt_access_tokens();
        provider.tokens(TokenKind::Access, move |token| fill(token, length));
        let (_, token) = signs_in(&stage.world, "other").await;
        assert!(token.len() > length - 2000, "{}", token.len());
        stage.advance(DUE);
        let token = stage.token(60).await;
        assert!(token.len() > length - 2000, "{}", token.len());
        assert!(stage.stored(&token).await);
    }
}
