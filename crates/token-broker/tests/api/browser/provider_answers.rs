//! `POST /internal/v1/callback/{provider}`: what a provider, or somebody in its place, sends back.

use std::time::Duration;

use hubkey_fakes::{
    fake_http::{Pace, Reply as HttpReply},
    hostile_provider::{AuthorizationResponse, Draft, Endpoint},
};
use serde_json::json;

use crate::support::{
    attempt::{Attempt, opened_by},
    audit::AuditTrail,
    browser::{Reply, parameter},
    kernel::TestKernel,
    outcome::{assert_no_connection, assert_refused, assert_told, exchanges, failure, returning},
    world::{World, WorldOptions},
};

/// How a sign-in ended that did not end well.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    /// On the page.
    page: String,
    /// For the kernel.
    kernel: String,
    exchanges: usize,
}

pub(super) fn end(page: &str, kernel: &str, exchanges: usize) -> End {
    End {
        page: page.to_owned(),
        kernel: kernel.to_owned(),
        exchanges,
    }
}

/// A sign-in of alice from link to callback; it must end, and leave nothing behind.
pub(super) async fn ended(world: &World) -> End {
    let trail = AuditTrail::begin();
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let before = exchanges(world);
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    assert!(reply.0["set_cookie"].is_null());
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "ended", "{page:?}");
    assert_told(&trail, "provider_failed");
    assert!(!trail.has("token_issued"));
    assert_no_connection(&kernel).await;
    End {
        page: page.page()["reason"].as_str().unwrap().to_owned(),
        kernel: failure(&kernel, &sign_in).await,
        exchanges: exchanges(world) - before,
    }
}

pub(super) async fn with_response(
    alter: impl Fn(&mut AuthorizationResponse) + Send + 'static,
) -> End {
    let world = World::new().await;
    world.provider.authorization_responses(alter);
    ended(&world).await
}

pub(super) async fn with_id_token(alter: impl Fn(&mut Draft) + Send + 'static) -> End {
    let world = World::new().await;
    world.provider.id_tokens(alter);
    ended(&world).await
}

fn misbehaved(exchanges: usize) -> End {
    end(
        "provider_protocol_error",
        "provider_protocol_error",
        exchanges,
    )
}

#[tokio::test]
async fn security_p6_an_error_beside_a_code_is_an_error() {
    let denied = with_response(|response| response.add("error", "access_denied")).await;
    assert_eq!(denied, end("access_denied", "access_denied", 0));
    for (code, page, kernel) in [
        ("login_required", "access_denied", "access_denied"),
        ("invalid_scope", "not_offered", "not_offered"),
        (
            "temporarily_unavailable",
            "provider_unavailable",
            "provider_unavailable",
        ),
        (
            "unauthorized_client",
            "provider_misconfigured",
            "provider_misconfigured",
        ),
        (
            "<script>",
            "provider_protocol_error",
            "provider_protocol_error",
        ),
    ] {
        let ended = with_response(move |response| response.fail(code)).await;
        assert_eq!(ended, end(page, kernel, 0), "{code}");
    }
    let empty = with_response(|response| response.remove("code")).await;
    assert_eq!(empty, misbehaved(0));
}

#[tokio::test]
async fn security_p10_p11_a_wrong_or_missing_issuer_sends_no_code_anywhere() {
    let wrong = |response: &mut AuthorizationResponse| response.set("iss", "https://evil.example");
    assert_eq!(with_response(wrong).await, misbehaved(0));
    let missing = |response: &mut AuthorizationResponse| response.remove("iss");
    assert_eq!(with_response(missing).await, misbehaved(0));
    let nearly = |response: &mut AuthorizationResponse| {
        let issuer = format!("{}/", response.get("iss").unwrap_or_default());
        response.set("iss", &issuer);
    };
    assert_eq!(with_response(nearly).await, misbehaved(0));
    let with_error = |response: &mut AuthorizationResponse| {
        response.fail("access_denied");
        response.set("iss", "https://evil.example");
    };
    assert_eq!(with_response(with_error).await, misbehaved(0));
}

#[tokio::test]
async fn security_p12_an_issuer_that_nobody_promised_is_compared_too() {
    let world = World::new().await;
    world.provider.metadata(|metadata| {
        metadata
            .as_object_mut()
            .unwrap()
            .remove("authorization_response_iss_parameter_supported");
    });
    let wrong = |response: &mut AuthorizationResponse| response.set("iss", "https://evil.example");
    world.provider.authorization_responses(wrong);
    assert_eq!(ended(&world).await, misbehaved(0));
    world.provider.be_honest();
}

/// A world with an honest provider (`lab-api`) and one at another issuer (`evil`).
async fn mixed() -> World {
    World::with(WorldOptions {
        elsewhere: vec!["evil"],
        ..WorldOptions::default()
    })
    .await
}

fn exchanges_elsewhere(world: &World) -> usize {
    world
        .other
        .as_ref()
        .map_or(0, |other| other.hits(Endpoint::Token))
}

#[tokio::test]
async fn security_p10b_the_issuer_of_one_provider_at_the_redirect_uri_of_another() {
    let (trail, world) = (AuditTrail::begin(), mixed().await);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let mut body = browser.returned(&back);
    body["iss"] = json!(world.other.as_ref().unwrap().issuer());
    let reply = browser.ask("callback/lab-api", &body).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["reason"], "provider_protocol_error");
    assert_eq!(failure(&kernel, &sign_in).await, "provider_protocol_error");
    assert_eq!((exchanges(&world), exchanges_elsewhere(&world)), (0, 0));
    assert_told(&trail, "provider_failed");
}

/// Alice starts at `evil`, which sends her on to the honest provider, so that an honest code comes back with the state
/// of the flow at `evil`, at the redirect URI of `arrives_at`.
async fn mix_up(world: &World, kernel: &TestKernel, arrives_at: &str) -> (String, Reply) {
    let sign_in = kernel.open_with(&json!({"provider": "evil"})).await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let evil = world.other.as_ref().unwrap();
    let honest = leaving
        .location()
        .replacen(&evil.issuer(), &world.provider.issuer(), 1);
    let back = browser.at_provider(&honest).await;
    let code = parameter(&back, "code").unwrap();
    let mut body = browser.returned(&back);
    if arrives_at == "evil" {
        body["iss"] = json!(evil.issuer());
    }
    let reply = browser.ask(&format!("callback/{arrives_at}"), &body).await;
    let state = kernel.state(&sign_in).await;
    assert_ne!(state, "connected");
    (code, reply)
}

#[tokio::test]
async fn security_p13_an_honest_code_never_reaches_the_honest_token_endpoint_through_evil() {
    let trail = AuditTrail::begin();
    let world = mixed().await;
    let kernel = world.kernel("alice", "");
    let (_, reply) = mix_up(&world, &kernel, "lab-api").await;
    assert_refused(&reply, "forbidden");
    assert_eq!((exchanges(&world), exchanges_elsewhere(&world)), (0, 0));
    assert_told(&trail, "policy_denied");
    // At evil's own redirect URI the code goes where the browser was sent, and never elsewhere.
    mix_up(&world, &kernel, "evil").await;
    assert_eq!((exchanges(&world), exchanges_elsewhere(&world)), (0, 1));
    assert_no_connection(&kernel).await;
}

#[tokio::test]
async fn security_p14_two_providers_with_one_client_id_are_two() {
    let options = WorldOptions {
        providers: vec!["lab-api", "lab-two"],
        ..WorldOptions::default()
    };
    let attempt = Attempt::begin_with(options, "alice").await;
    let mut browser = attempt.browser("alice");
    let back = returning(&mut browser, &attempt.sign_in).await;
    let reply = browser.callback("lab-two", &back).await;
    attempt.assert_denied(&reply, "policy_denied").await;
}

#[tokio::test]
async fn security_r3_a_lost_answer_is_not_asked_for_again() {
    let retry = end("outcome_unknown", "outcome_unknown", 1);
    for pace in [Pace::CutAfter(5), Pace::Never] {
        let world = World::new().await;
        world.provider.replies(Endpoint::Token, move |reply| {
            reply.pace = pace;
        });
        assert_eq!(ended(&world).await, retry, "{pace:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(exchanges(&world), 1);
    }
    let world = World::new().await;
    let broken = HttpReply::new(http::StatusCode::BAD_GATEWAY);
    world.provider.answer(Endpoint::Token, broken);
    assert_eq!(ended(&world).await, retry);
}

#[tokio::test]
async fn security_i6_a_provider_that_went_down_before_the_exchange() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    world.provider.set_up(false);
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["reason"], "provider_unavailable");
    assert_ne!(kernel.state(&sign_in).await, "connected");
    assert_no_connection(&kernel).await;
}

#[tokio::test]
async fn feature_c2_an_id_token_with_a_wrong_or_missing_nonce_is_refused() {
    assert_eq!(
        with_id_token(|token| token.claim("nonce", "other")).await,
        misbehaved(1)
    );
    assert_eq!(
        with_id_token(|token| token.without("nonce")).await,
        misbehaved(1)
    );
}

#[tokio::test]
async fn feature_c4_each_altered_claim_and_signature_is_refused() {
    assert_eq!(with_id_token(Draft::break_signature).await, misbehaved(1));
    assert_eq!(
        with_id_token(|token| token.claim("iss", "https://evil.example")).await,
        misbehaved(1)
    );
    assert_eq!(
        with_id_token(|token| token.shift("exp", -3600)).await,
        misbehaved(1)
    );
    assert_eq!(with_id_token(Draft::unsigned).await, misbehaved(1));
}

#[tokio::test]
async fn feature_c5_a_token_for_another_client_is_refused() {
    assert_eq!(
        with_id_token(|token| token.claim("aud", "another-client")).await,
        misbehaved(1)
    );
    assert_eq!(
        with_id_token(|token| token.claim("azp", "another-client")).await,
        misbehaved(1)
    );
}
