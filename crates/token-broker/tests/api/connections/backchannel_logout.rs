//! `POST /internal/v1/backchannel-logout/{provider}`

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_domain::provider::ProviderConfig;
use hubkey_fakes::hostile_provider::{Account, Alg, Draft, Endpoint, SigningKey};
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    kernel::{Connected, TestKernel},
    outcome::{assert_no_connection, assert_refused, confirmation, revoked},
    refresh_stage::DUE,
    world::{World, WorldOptions, internal_request, send},
};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const SESSION: &str = "session-1";

/// What a provider sends for alice's session; each with a name of its own.
fn claims(world: &World) -> Value {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let now = jsonwebtoken::get_current_timestamp();
    json!({
        "iss": world.provider.issuer(),
        "aud": "hubkey",
        "iat": now,
        "exp": now + 120,
        "jti": format!("logout-{number}"),
        "sub": "op-alice",
        "sid": SESSION,
        "events": { EVENT: {}, "revoke_offline_access": true },
    })
}

fn token(world: &World, alter: impl FnOnce(&mut Draft)) -> String {
    world.provider.logout_token(claims(world), alter)
}

/// What the broker says to a token, as callback-server hands it on.
async fn told(world: &World, provider: &str, token: &str, source: Option<&str>) -> String {
    let path = format!("/internal/v1/backchannel-logout/{provider}");
    let body = json!({ "logout_token": token, "source": source });
    let answer = send(&world.internal_api, internal_request(&path, &body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["outcome"].as_str().unwrap().to_owned()
}

async fn logout(world: &World, token: &str) -> String {
    told(world, "lab-api", token, None).await
}

/// Alice is connected, out of a session that the provider has a name for.
async fn connected() -> (World, TestKernel, Connected) {
    let world = World::new().await;
    let (kernel, connection) = connect(&world, SESSION).await;
    (world, kernel, connection)
}

async fn connect(world: &World, session: &str) -> (TestKernel, Connected) {
    let account = Account::new("op-alice").claim("sid", session);
    world.provider.sign_in_as(account);
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    (kernel, connection)
}

async fn is_alive(kernel: &TestKernel, connection: &Connected) -> bool {
    let token_answer = kernel.get_token(&connection.id, 0).await;
    if token_answer.status == StatusCode::OK {
        return true;
    }
    token_answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    false
}

#[tokio::test]
async fn security_p90_a_logout_ends_the_connections_of_its_session() {
    let trail = AuditTrail::begin();
    let (world, kernel, connection) = connected().await;
    let (other_kernel, other) = connect(&world, "session-2").await;
    assert!(is_alive(&kernel, &connection).await);
    assert_eq!(logout(&world, &token(&world, |_| ())).await, "done");
    assert!(!is_alive(&kernel, &connection).await);
    assert!(is_alive(&other_kernel, &other).await, "another session");
    assert!(trail.says("grant_ended", "reason=backchannel_logout"));
    assert!(kernel.connections().await.is_empty());
    for _ in 0..400 {
        if world.provider.revoked().contains(&connection.access_token) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.provider.revoked().len(), 2, "both tokens given back");
    let again = kernel.create(&json!({})).await;
    assert_eq!(again.status, StatusCode::CREATED, "needs a new sign-in");
}

#[tokio::test]
async fn security_p90_a_logout_ends_exchanged_tokens_too() {
    let (world, kernel, connection) = connected().await;
    let path = format!("/v1/connections/{}/exchange", connection.id);
    let body = json!({"audience": "other-api"});
    let exchanged = kernel.send(Method::POST, &path, Some(&body)).await;
    let exchanged = exchanged.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(logout(&world, &token(&world, |_| ())).await, "done");
    world.broker.finish(Duration::from_secs(10)).await;
    let revoked = world.provider.revoked();
    assert!(revoked.contains(&exchanged), "still good at the other API");
}

#[tokio::test]
async fn security_p90_a_logout_of_the_account_ends_all_and_is_idempotent() {
    let (world, kernel, connection) = connected().await;
    let (other_kernel, other) = connect(&world, "session-2").await;
    for _ in 0..2 {
        let token = token(&world, |token| token.without("sid"));
        assert_eq!(logout(&world, &token).await, "done");
        assert!(!is_alive(&kernel, &connection).await);
        assert!(!is_alive(&other_kernel, &other).await);
    }
    let unknown = token(&world, |token| token.claim("sid", "nobody's"));
    assert_eq!(logout(&world, &unknown).await, "done");
}

/// Alice is asked whether her accounts belong together when her session ends there.
async fn logged_out_at_the_confirmation_page(alter: fn(&mut Draft), session: &str) -> bool {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let account = Account::new("op-alice").claim("sid", session);
    world.provider.sign_in_as(account);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    assert_eq!(logout(&world, &token(&world, alter)).await, "done");
    let ended = kernel.state(&sign_in).await == "denied";
    let pressed = browser.decide("confirm", &page, "accept").await;
    if !ended {
        let connection = kernel.collect(&sign_in).await;
        return is_alive(&kernel, &connection).await;
    }
    assert_refused(&pressed, "invalid_link");
    assert_no_connection(&kernel).await;
    assert!(kernel.connections().await.is_empty());
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
    assert!(trail.says("sign_in_cancelled", "reason=backchannel_logout"));
    assert!(!trail.has("token_issued"));
    false
}

#[tokio::test]
async fn security_p90_a_grant_that_waits_for_confirmation_ends_with_its_session() {
    assert!(!logged_out_at_the_confirmation_page(|_| (), SESSION).await);
    let of_the_account = |token: &mut Draft| token.without("sid");
    assert!(!logged_out_at_the_confirmation_page(of_the_account, SESSION).await);
    assert!(logged_out_at_the_confirmation_page(|_| (), "session-2").await);
}

#[tokio::test]
async fn security_p90_a_logout_and_a_confirmation_at_once_leave_no_token() {
    for _ in 0..20 {
        let world = World::new().await;
        let account = Account::new("op-alice").claim("sid", SESSION);
        world.provider.sign_in_as(account);
        let kernel = world.kernel("alice", "");
        let sign_in = kernel.open().await;
        let mut browser = world.browser("alice");
        let page = confirmation(&mut browser, &sign_in).await;
        let honest = token(&world, |_| ());
        let (told, _) = tokio::join!(
            logout(&world, &honest),
            browser.decide("confirm", &page, "accept"),
        );
        assert_eq!(told, "done");
        if kernel.state(&sign_in).await == "connected" {
            let connection = kernel.collect(&sign_in).await;
            assert!(!is_alive(&kernel, &connection).await);
        }
        assert_no_connection(&kernel).await;
        assert_eq!(revoked(&world.provider, 2).await.len(), 2);
    }
}

type Lie = Box<dyn FnOnce(&mut Draft)>;

/// What is wrong, one thing at a time.
fn lies() -> Vec<(&'static str, Lie)> {
    let stranger = SigningKey::generate(Alg::Rs256, 7).unwrap();
    vec![
        ("p91 alg none", Box::new(Draft::unsigned)),
        ("p92 no event", Box::new(|token| token.without("events"))),
        ("p93 nonce", Box::new(|token| token.claim("nonce", "n"))),
        ("p94 HS256", Box::new(Draft::sign_hs256_with_the_public_key)),
        ("p94 broken", Box::new(Draft::break_signature)),
        (
            "p94 stranger",
            Box::new(move |token| token.sign_with(&stranger)),
        ),
        ("p95 aud", Box::new(|token| token.claim("aud", "other"))),
        (
            "p96 event",
            Box::new(|token| token.claim("events", json!({"x": {}}))),
        ),
        (
            "p97 iss",
            Box::new(|token| token.claim("iss", "https://evil.example")),
        ),
        ("p97b old", Box::new(|token| token.shift("iat", -400))),
        ("p97b typ", Box::new(|token| token.head("typ", "JWT"))),
        ("p97b at+jwt", Box::new(|token| token.head("typ", "at+jwt"))),
        (
            "p97b crit",
            Box::new(|token| token.head("crit", json!(["x"]))),
        ),
        (
            "p97b mismatch",
            Box::new(|token| token.claim("sub", "op-mallory")),
        ),
    ]
}

#[tokio::test]
async fn security_p91_p92_p93_p94_p95_p96_p97_a_forged_token_ends_nothing() {
    let (world, kernel, connection) = connected().await;
    for (name, lie) in lies() {
        assert_eq!(
            logout(&world, &token(&world, lie)).await,
            "refused",
            "{name}"
        );
        assert!(is_alive(&kernel, &connection).await, "{name}");
    }
    for garbage in ["", "x", "a.b.c", "ü"] {
        assert_eq!(logout(&world, garbage).await, "refused");
    }
    assert_eq!(
        told(&world, "nobody", &token(&world, |_| ()), None).await,
        "refused"
    );
    assert!(is_alive(&kernel, &connection).await);
    let untyped = token(&world, |token| token.without_head("typ"));
    assert_eq!(logout(&world, &untyped).await, "done", "typ may be absent");
}

#[tokio::test]
async fn security_p97b_a_token_is_good_once() {
    let trail = AuditTrail::begin();
    let (world, _, _) = connected().await;
    let token = token(&world, |_| ());
    assert_eq!(logout(&world, &token).await, "done");
    let (kernel, connection) = connect(&world, SESSION).await;
    assert_eq!(logout(&world, &token).await, "refused");
    assert!(is_alive(&kernel, &connection).await);
    assert!(trail.says("policy_denied", "reason=logout_token_replayed"));
}

#[tokio::test]
async fn security_p90_a_token_for_another_accounts_session_ends_neither() {
    let trail = AuditTrail::begin();
    let (world, kernel, connection) = connected().await;
    let other = token(&world, |token| token.claim("sub", "op-bob"));
    assert_eq!(logout(&world, &other).await, "refused");
    assert!(is_alive(&kernel, &connection).await);
    assert!(trail.says(
        "policy_denied",
        "reason=logout_token_sub_of_another_session"
    ));
}

#[tokio::test]
async fn security_p97b_a_token_of_one_issuer_touches_no_other() {
    let world = World::with(WorldOptions {
        elsewhere: vec!["elsewhere"],
        ..WorldOptions::default()
    })
    .await;
    let (kernel, connection) = connect(&world, SESSION).await;
    let other = world.other.as_ref().unwrap();
    let mut claims = claims(&world);
    claims["iss"] = other.issuer().into();
    let token = other.logout_token(claims, |_| ());
    assert_eq!(told(&world, "lab-api", &token, None).await, "refused");
    assert_eq!(told(&world, "elsewhere", &token, None).await, "done");
    assert!(is_alive(&kernel, &connection).await);
}

#[tokio::test]
async fn security_p98_an_id_token_is_no_logout_token_and_the_other_way_round() {
    let (world, kernel, connection) = connected().await;
    let id_token = world
        .provider
        .signing_keys()
        .mint_id_token("hubkey", "nonce");
    assert_eq!(logout(&world, &id_token).await, "refused");
    assert!(is_alive(&kernel, &connection).await);
    let logout_token = token(&world, |_| ());
    world
        .provider
        .token_responses(move |answer| answer["id_token"] = json!(logout_token));
    let kernel = world.kernel("bob", "");
    let sign_in = kernel.open().await;
    world.browser("bob").sign_in(&sign_in).await;
    assert_eq!(kernel.state(&sign_in).await, "failed");
}

#[tokio::test]
async fn security_p90_a_refresh_that_is_under_way_does_not_bring_a_connection_back() {
    let (world, kernel, connection) = connected().await;
    world.clock.advance(DUE);
    let held = hubkey_fakes::fake_http::Pace::After(Duration::from_millis(1500));
    world
        .provider
        .next_reply(Endpoint::Token, move |reply| reply.pace = held);
    let token_request = {
        let kernel = world.kernel_with(&kernel.token);
        let id = connection.id.clone();
        tokio::spawn(async move { kernel.get_token(&id, 60).await })
    };
    for _ in 0..400 {
        if world.provider.grants().refreshes() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        world.provider.grants().refreshes(),
        1,
        "a refresh is under way"
    );
    // The provider's clock did not move.
    let honest = token(&world, |token| token.shift("exp", 300));
    assert_eq!(logout(&world, &honest).await, "done");
    let token_answer = token_request.await.unwrap();
    assert_ne!(
        token_answer.status,
        StatusCode::OK,
        "{}",
        token_answer.text()
    );
    assert!(!is_alive(&kernel, &connection).await);
}

#[tokio::test]
async fn a_flood_of_forged_tokens_is_not_looked_at() {
    let (world, kernel, connection) = connected().await;
    let source = Some("192.0.2.7");
    let mut outcomes = Vec::new();
    for _ in 0..40 {
        outcomes.push(told(&world, "lab-api", "a.b.c", source).await);
    }
    assert_eq!(outcomes[0], "refused");
    assert_eq!(outcomes[39], "too_many");
    assert!(is_alive(&kernel, &connection).await);
    // Nobody else is held up.
    let honest = token(&world, |_| ());
    assert_eq!(
        told(&world, "lab-api", &honest, Some("192.0.3.7")).await,
        "done"
    );
}

/// A provider that publishes keys of two algorithms; the first one signs its ID tokens.
async fn of_two_algorithms(options: WorldOptions) -> (World, SigningKey) {
    let world = World::with(options).await;
    let keys = world.provider.signing_keys();
    keys.generate(&[Alg::Rs256, Alg::Es256]).unwrap();
    let second = keys.all()[1].clone();
    (world, second)
}

#[tokio::test]
async fn found_b7_a_logout_token_is_signed_as_the_id_token_of_its_session() {
    let trail = AuditTrail::begin();
    let (world, second) = of_two_algorithms(WorldOptions::default()).await;
    let (kernel, connection) = connect(&world, SESSION).await;
    for without in [None, Some("sub"), Some("sid")] {
        let other = token(&world, |token| {
            token.sign_with(&second);
            if let Some(name) = without {
                token.without(name);
            }
        });
        assert_eq!(logout(&world, &other).await, "refused", "{without:?}");
        assert!(is_alive(&kernel, &connection).await, "{without:?}");
    }
    assert!(trail.says(
        "policy_denied",
        "reason=logout_token_alg_of_another_session"
    ));
    assert_eq!(logout(&world, &token(&world, |_| ())).await, "done");
    assert!(!is_alive(&kernel, &connection).await);
}

#[tokio::test]
async fn found_b7_of_several_sessions_those_end_that_were_signed_alike() {
    let (world, second) = of_two_algorithms(WorldOptions::default()).await;
    let (kernel, connection) = connect(&world, SESSION).await;
    let mut keys = world.provider.signing_keys().all();
    keys.reverse();
    world.provider.signing_keys().publish(keys);
    let (later_kernel, later) = connect(&world, "session-2").await;
    let first = world.provider.signing_keys().all()[1].clone();
    let of_the_account = |key: SigningKey| {
        token(&world, |token| {
            token.without("sid");
            token.sign_with(&key);
        })
    };
    assert_eq!(logout(&world, &of_the_account(second)).await, "done");
    assert!(!is_alive(&later_kernel, &later).await);
    assert!(is_alive(&kernel, &connection).await, "another algorithm");
    assert_eq!(logout(&world, &of_the_account(first)).await, "done");
    assert!(!is_alive(&kernel, &connection).await);
}

#[tokio::test]
async fn found_b7_the_operators_list_of_algorithms_decides() {
    let listed = |config: &mut ProviderConfig| {
        config.id_token.algorithms = vec!["RS256".to_owned(), "ES256".to_owned()];
    };
    let options = WorldOptions {
        adjust: listed,
        ..WorldOptions::default()
    };
    let (world, second) = of_two_algorithms(options).await;
    let (kernel, connection) = connect(&world, SESSION).await;
    let other = token(&world, |token| token.sign_with(&second));
    assert_eq!(logout(&world, &other).await, "done");
    assert!(!is_alive(&kernel, &connection).await);
    let one = WorldOptions {
        adjust: |config| config.id_token.algorithms = vec!["RS256".to_owned()],
        ..WorldOptions::default()
    };
    let (world, second) = of_two_algorithms(one).await;
    let (kernel, connection) = connect(&world, SESSION).await;
    let other = token(&world, |token| token.sign_with(&second));
    assert_eq!(logout(&world, &other).await, "refused");
    assert!(is_alive(&kernel, &connection).await);
}
