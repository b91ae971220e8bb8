//! The internal listener: who may ask, and what no answer holds.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use hubkey_fakes::{hostile_provider::Endpoint, scripted_hub::HubEndpoint};
use hubkey_protocol::secret::SharedSecret;
use hubkey_token_broker::routes;
use serde_json::{Value, json};

use crate::support::{
    attempt::Attempt,
    audit::AuditTrail,
    browser::ask,
    outcome::{assert_refused, confirmation, exchanges, link_account, returning},
    world::{Answer, CLIENT_SECRET, SERVICE_TOKEN, SHARED_SECRET, World, WorldOptions, send},
};

const STEPS: [&str; 6] = [
    "start",
    "hub-callback",
    "view",
    "continue",
    "callback/lab-api",
    "confirm",
];

async fn start_with(router: &Router, credentials: &[&str], ticket: &str) -> Answer {
    let mut request = Request::post("/internal/v1/start");
    for credential in credentials {
        request = request.header(header::AUTHORIZATION, *credential);
    }
    let request = request
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(json!({"ticket": ticket}).to_string()))
        .unwrap();
    send(router, request).await
}

#[tokio::test]
async fn security_x4_without_the_one_credential_nothing_is_answered() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "").open().await;
    let right = format!("Bearer {SHARED_SECRET}");
    let longer = format!("Bearer {SHARED_SECRET}0");
    let shorter = right[..right.len() - 1].to_owned();
    let basic = format!("Basic {SHARED_SECRET}");
    let wrong: [&[&str]; 9] = [
        &[],
        &[""],
        &["Bearer "],
        &["Bearer wrong"],
        &[SHARED_SECRET],
        &[&longer],
        &[&shorter],
        &[&basic],
        &[&right, &right],
    ];
    for credentials in wrong {
        let answer = start_with(&world.internal_api, credentials, sign_in.ticket()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{credentials:?}");
        assert!(answer.json()["answer"].is_null());
    }
    for step in STEPS.into_iter().chain(["site", "invented"]) {
        for method in ["GET", "POST", "DELETE"] {
            let request = Request::builder()
                .method(method)
                .uri(format!("/internal/v1/{step}"))
                .body(Body::empty())
                .unwrap();
            let answer = send(&world.internal_api, request).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {step}");
        }
    }
    let answer = start_with(&world.internal_api, &[&right], sign_in.ticket()).await;
    assert_eq!(answer.json()["answer"]["kind"], "redirect");
}

#[tokio::test]
async fn security_x4_during_a_rotation_two_credentials_are_valid() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "").open().await;
    let router = routes::internal(
        world.broker.clone(),
        vec![
            SharedSecret::new("the-new-one"),
            SharedSecret::new("the-old-one"),
        ],
    );
    for (credential, status) in [
        ("Bearer the-new-one", StatusCode::OK),
        ("Bearer the-old-one", StatusCode::OK),
        ("Bearer the-older-one", StatusCode::UNAUTHORIZED),
        ("Bearer the-new-onethe-old-one", StatusCode::UNAUTHORIZED),
    ] {
        let answer = start_with(&router, &[credential], sign_in.ticket()).await;
        assert_eq!(answer.status, status, "{credential}");
    }
    let none = routes::internal(world.broker.clone(), Vec::new());
    let answer = start_with(&none, &["Bearer "], sign_in.ticket()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn security_x4_a_stolen_credential_asserts_no_user() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    let short = &sign_in.nonce[..6];
    let invented = format!("{short}.{}", "A".repeat(43));
    for step in STEPS.into_iter().filter(|step| *step != "start") {
        let body = json!({
            "user": "alice", "hub_user": "alice", "name": "alice", "session_id": "x", "nonce": sign_in.nonce,
            "state": invented, "code": "x", "iss": world.provider.issuer(),
            "flow": short, "flow_cookie": "x".repeat(43), "csrf": "x", "decision": "accept",
        });
        let reply = ask(&world, step, &body).await;
        let refusal = if step == "view" {
            "invalid_link"
        } else {
            "forbidden"
        };
        assert_refused(&reply, refusal);
    }
    // With a link: the Hub decides who that is, whatever callback-server says.
    let mut thief = world.browser("mallory");
    let body = json!({"ticket": sign_in.ticket(), "user": "alice"});
    let started = thief.ask("start", &body).await;
    let back = thief.at_hub(started.location()).await;
    assert_refused(&thief.hub_callback(&back).await, "invalid_link");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_eq!(exchanges(&world), 0);
    assert!(trail.has("policy_denied") && trail.has("link_opened_by_other_user"));
}

#[tokio::test]
async fn security_x4_the_two_listeners_share_no_route() {
    let world = World::new().await;
    for step in STEPS {
        let request = Request::post(format!("/internal/v1/{step}"))
            .header(header::AUTHORIZATION, format!("Bearer {SHARED_SECRET}"))
            .body(Body::from("{}"))
            .unwrap();
        let answer = send(&world.kernel_api, request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{step}");
    }
    let request = Request::post("/v1/sign-ins")
        .header(header::AUTHORIZATION, format!("Bearer {SHARED_SECRET}"))
        .body(Body::from("{}"))
        .unwrap();
    let answer = send(&world.internal_api, request).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

/// Collects every token that the provider hands out.
fn watch_tokens(world: &World) -> Arc<Mutex<Vec<String>>> {
    let tokens: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&tokens);
    world.provider.replies(Endpoint::Token, move |reply| {
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        let names = ["access_token", "refresh_token", "id_token"];
        let handed = names.iter().filter_map(|name| answer[name].as_str());
        seen.lock().unwrap().extend(handed.map(str::to_owned));
    });
    tokens
}

/// Sign-ins that end in every way that there is.
async fn every_end(world: &World) {
    link_account(world, "alice", "op-alice").await;
    for decision in ["accept", "cancel"] {
        let sign_in = world.kernel("alice", decision).open().await;
        world
            .provider
            .sign_in_as(hubkey_fakes::hostile_provider::Account::new(decision));
        let mut browser = world.browser("alice");
        let page = confirmation(&mut browser, &sign_in).await;
        browser
            .decide_with("confirm", &sign_in.nonce[..6], "wrong", "accept")
            .await;
        browser.decide("confirm", &page, decision).await;
        browser.view(&sign_in.nonce[..6]).await;
    }
    let mallory = world.kernel("mallory", "").open().await;
    let mut browser = world.browser("mallory");
    let back = returning(&mut browser, &mallory).await;
    let reply = browser.callback("lab-api", &back).await;
    browser.view(reply.flow()).await;
    world
        .provider
        .next_id_token(|token| token.claim("nonce", "x"));
    let sign_in = world.kernel("bob", "").open().await;
    let mut browser = world.browser("bob");
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    browser.view(reply.flow()).await;
    browser.callback("lab-api", &back).await;
}

#[tokio::test]
async fn security_x5_feature_c7_no_internal_answer_holds_a_token() {
    let trail = AuditTrail::begin();
    for shared_origin in [false, true] {
        let world = World::with(WorldOptions {
            shared_origin,
            ..WorldOptions::default()
        })
        .await;
        let tokens = watch_tokens(&world);
        every_end(&world).await;
        let mut secrets = tokens.lock().unwrap().clone();
        assert!(secrets.len() >= 12, "{}", secrets.len());
        let hub_tokens = world.hub.requests(HubEndpoint::User);
        let hub_tokens = hub_tokens
            .iter()
            .filter_map(|request| request.authorization()?.split(' ').next_back());
        secrets.extend(hub_tokens.map(str::to_owned));
        secrets.extend([CLIENT_SECRET, SERVICE_TOKEN, SHARED_SECRET].map(str::to_owned));
        let exchanged = world.provider.requests(Endpoint::Token);
        let verifiers = exchanged
            .iter()
            .filter_map(|request| request.form_value("code_verifier"));
        secrets.extend(verifiers);
        let answers = world.internal_answers.lock().unwrap().join("\n");
        let events = trail.events().join("\n");
        assert!(answers.len() > 4000);
        for secret in &secrets {
            assert!(secret.len() > 10);
            assert!(
                !answers.contains(secret.as_str()),
                "an answer holds a secret"
            );
            assert!(!events.contains(secret.as_str()), "an event holds a secret");
        }
    }
}
