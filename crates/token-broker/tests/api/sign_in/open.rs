//! `POST /v1/sign-ins`

use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode};
use hubkey_domain::{provider::ConnectionScope, user_index::OpenLimits};
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    kernel::connected,
    world::{World, WorldOptions, send},
};

/// What a kernel may not ask for, and the word that it is refused with.
fn forbidden_wishes() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"provider": "other"}), "unknown_provider"),
        (json!({"scopes": ["openid", "admin"]}), "scope_not_allowed"),
        (json!({"scopes": ["projects"]}), "scope_not_allowed"),
        (json!({"scopes": ["PROJECTS:READ"]}), "scope_not_allowed"),
        (
            json!({"audience": "https://api.example.org/"}),
            "audience_not_allowed",
        ),
        (json!({"audience": ""}), "audience_not_allowed"),
        (
            json!({"resource": "https://api.example.org/v2"}),
            "resource_not_allowed",
        ),
        (
            json!({"resource": "https://evil.example"}),
            "resource_not_allowed",
        ),
    ]
}

/// What is no such request; the word stands in the answer where it names a field.
fn malformed() -> Vec<(&'static str, &'static str)> {
    vec![
        (r#"{"provider": 1}"#, "provider"),
        (r#"{"provider": "Lab API"}"#, "provider"),
        (r#"{"provider": "../lab-api"}"#, "provider"),
        (r#"{"provider": "https://evil.example"}"#, "provider"),
        (r#"{"scopes": "projects:read"}"#, "scopes"),
        (r#"{"scopes": ["projects:read projects:write"]}"#, "scopes"),
        (r#"{"scopes": ["a", 7]}"#, "scopes"),
        (r#"{"scopes": [""]}"#, "scopes"),
        (r#"{"audience": ["https://api.example.org"]}"#, "audience"),
        (r#"{"resource": {}}"#, "resource"),
        (r#"{"interactive": "yes"}"#, "interactive"),
        (
            r#"{"redirect_uri": "https://evil.example"}"#,
            "`redirect_uri`",
        ),
        (r#"{"issuer": "https://evil.example"}"#, "`issuer`"),
        (r#"{"client_id": "evil"}"#, "`client_id`"),
        (r#"{"prompt": "none"}"#, "`prompt`"),
        (r#"{"user": "alice"}"#, "`user`"),
        (r#"{"provider": "lab-api", "provider": "other"}"#, "twice"),
        (
            r#"{"provider": "lab-api", "pr\u006fvider": "other"}"#,
            "twice",
        ),
        (r#"{"provider": "lab-api""#, "JSON"),
        ("[]", "form"),
        (r#"["lab-api"]"#, "form"),
        ("null", "form"),
        ("", "JSON"),
    ]
}

#[tokio::test]
async fn security_k9_what_the_operator_does_not_offer_is_refused() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    for (count, (wish, code)) in forbidden_wishes().into_iter().enumerate() {
        let answer = kernel.create(&wish).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, code);
        assert!(!answer.text().contains("evil"), "{wish}");
        let denials = trail.events();
        let denials = denials
            .iter()
            .filter(|event| event.contains("reason=wish_refused"));
        assert_eq!(denials.count(), count + 1, "{wish}");
    }
    assert_eq!(world.probe.commits(), 0);
    assert!(!trail.has("sign_in_started"));
}

#[tokio::test]
async fn security_k9_what_is_no_such_request_is_refused_with_its_field() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    for (body, word) in malformed() {
        let mut request = kernel.request(Method::POST, "/v1/sign-ins", Some(&json!({})));
        *request.body_mut() = Body::from(body);
        let answer = send(&kernel.api, request).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{body}: {detail}");
        assert!(!answer.text().contains("evil"), "{body}");
    }
    assert_eq!(world.probe.commits(), 0);
}

#[tokio::test]
async fn feature_a5_a_bad_field_is_named_with_what_would_be_right() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    for (wish, right) in [
        (json!({"provider": "lab"}), "lab-api"),
        (
            json!({"scopes": ["admin"]}),
            "openid projects:read projects:write",
        ),
        (json!({"audience": "a"}), "https://api.example.org"),
        (json!({"resource": "r"}), "https://api.example.org/v1"),
    ] {
        let answer = kernel.create(&wish).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(right), "{wish}: {detail}");
    }
    let several = World::with(WorldOptions {
        providers: vec!["lab-api", "cloud"],
        ..WorldOptions::default()
    })
    .await;
    let unnamed = several.kernel("alice", "").create(&json!({})).await;
    unnamed.assert_problem(StatusCode::BAD_REQUEST, "provider_required");
    assert!(unnamed.text().contains("lab-api, cloud"));
    assert_eq!(world.probe.commits() + several.probe.commits(), 0);
}

#[tokio::test]
async fn security_k9_no_answer_holds_more_than_the_access_token() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let created = kernel.create(&json!({})).await;
    let sign_in = crate::support::kernel::opened(&created.json());
    world.browser("alice").sign_in(&sign_in).await;
    let ready = kernel.poll(&sign_in).await;
    let connection = connected(&ready.json());
    let issued = world
        .provider
        .requests(hubkey_fakes::hostile_provider::Endpoint::Token);
    let code = issued[0].form_value("code").expect("a code");
    let verifier = issued[0].form_value("code_verifier").expect("a verifier");
    let answers = [
        created,
        ready,
        kernel.create(&json!({})).await,
        kernel.get_token(&connection.id, 1).await,
        kernel.send(Method::GET, "/v1/connections", None).await,
        kernel.send(Method::GET, "/v1/providers", None).await,
        kernel.send(Method::GET, "/v1/openapi.json", None).await,
    ];
    for answer in answers {
        assert!(answer.status.is_success(), "{answer:?}");
        let text = answer.text();
        for word in [
            r#""refresh_token""#,
            r#""id_token""#,
            "client_secret",
            "eyJ",
            &code,
            &verifier,
        ] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        let listing = answer.json()["connections"].is_array();
        assert!(!listing || !text.contains(&connection.access_token));
    }
}

#[tokio::test]
async fn need_12_a_program_without_a_person_learns_at_once_that_one_is_needed() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let headless = json!({"provider": "lab-api", "interactive": false});
    let refused = kernel.create(&headless).await;
    refused.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert_eq!(world.probe.commits(), 0, "no sign-in was opened");
    let connection = world.connect(&kernel, "alice").await;
    let answer = kernel.create(&headless).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(connected(&answer.json()), connection);
}

#[tokio::test]
async fn feature_k7_a_sign_in_that_is_finished_late_is_found_by_the_next_request() {
    let world = World::new().await;
    world
        .provider
        .token_responses(|answer| answer["expires_in"] = json!(3600));
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    kernel.state(&sign_in).await;
    // The kernel does not poll any more when its person comes, and the sign-in is forgotten when it asks again.
    world.browser("alice").sign_in(&sign_in).await;
    world.clock.advance(Duration::from_secs(400));
    let forgotten = kernel.poll(&sign_in).await;
    forgotten.assert_problem(StatusCode::NOT_FOUND, "not_found");
    let answer = kernel.create(&json!({"provider": "lab-api"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    assert_eq!(answer.json()["status"], "connected");
    let id = connected(&answer.json()).id;
    assert_eq!(kernel.get_token(&id, 60).await.status, StatusCode::OK);
}

#[tokio::test]
async fn feature_a13_only_a_connection_that_fits_is_given_again() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    world.connect(&kernel, "alice").await;
    for (wish, status) in [
        (json!({}), StatusCode::OK),
        (json!({"scopes": ["projects:read"]}), StatusCode::OK),
        (json!({"scopes": ["projects:write"]}), StatusCode::CREATED),
        (
            json!({"audience": "https://api.example.org"}),
            StatusCode::CREATED,
        ),
        (
            json!({"resource": "https://api.example.org/v1"}),
            StatusCode::CREATED,
        ),
    ] {
        assert_eq!(kernel.create(&wish).await.status, status, "{wish}");
    }
    world.clock.advance(Duration::from_hours(13));
    let later = kernel.create(&json!({})).await;
    assert_eq!(later.status, StatusCode::CREATED, "its time is over");
}

#[tokio::test]
async fn feature_a14_a_second_kernel_of_the_same_server_is_connected_and_nobody_else() {
    let world = World::new().await;
    let first = world.kernel("alice", "");
    let connection = world.connect(&first, "alice").await;
    let second = world.kernel_with(&first.token);
    let answer = second.create(&json!({})).await;
    assert_eq!(connected(&answer.json()), connection);
    for other in [
        world.kernel("alice", "gpu"),
        world.kernel("alice", ""),
        world.kernel("mallory", ""),
    ] {
        let answer = other.create(&json!({"interactive": false})).await;
        answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        assert_eq!(other.create(&json!({})).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn feature_a14_where_the_operator_shares_nothing_each_request_needs_its_own_sign_in() {
    let world = World::with(WorldOptions {
        connection_scope: ConnectionScope::SignIn,
        open: OpenLimits {
            open: 2,
            per_minute: 30,
        },
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let (one, other) = (kernel.open().await, kernel.open().await);
    world.browser("alice").sign_in(&one).await;
    assert_eq!(kernel.state(&one).await, "connected");
    assert_eq!(kernel.state(&other).await, "pending");
    assert_eq!(kernel.create(&json!({})).await.status, StatusCode::CREATED);
}
