//! Who may use the kernel API at all (rules K1 to K8 of `docs/reference/security-rules.md`).

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::Reply,
    scripted_hub::{Fault, HubEndpoint, models},
};
use hubkey_token_broker::use_cases::SharedServers;
use serde_json::{Value, json};

use crate::support::{
    attempt::Attempt,
    audit::AuditTrail,
    kernel::TestKernel,
    world::{Answer, Traces, World, WorldOptions},
};

/// Every way into the kernel API, with a body where one is due.
fn doors() -> Vec<(Method, &'static str, Option<Value>)> {
    vec![
        (
            Method::POST,
            "/v1/sign-ins",
            Some(json!({"provider": "lab-api"})),
        ),
        (Method::GET, "/v1/providers", None),
        (Method::GET, "/v1/connections", None),
        (
            Method::POST,
            "/v1/connections/abcdef.AAAAAAAAAAAAAAAAAAAAAA/token",
            Some(json!({})),
        ),
    ]
}

/// No door opens to a token of this model, nothing is written, and the audit stream has the reason.
async fn assert_kept_out(name: &str, model: Value, refusal: &str, hint: &str) {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel_with(&world.hub.token_of(model));
    for (method, path, body) in doors() {
        let answer = kernel.send(method, path, body.as_ref()).await;
        answer.assert_problem(StatusCode::FORBIDDEN, refusal);
        assert!(answer.text().contains(hint), "{name}: {}", answer.text());
    }
    let nothing = Traces {
        commits: 0,
        redeemed: 0,
    };
    assert_eq!(world.traces(), nothing, "{name}");
    assert!(
        trail.says("policy_denied", &format!("reason={refusal}")),
        "{name}: {:?}",
        trail.events()
    );
    assert!(!trail.has("sign_in_started"), "{name}");
}

#[tokio::test]
async fn security_k1_a_token_of_alice_that_others_hold_opens_nothing() {
    let held = [
        (
            "held by a service",
            models::held_by_service("alice", "evil"),
        ),
        (
            "held by mallory's shared server",
            models::on_server_of("alice", "mallory"),
        ),
        ("in a page's configuration", models::page_config("alice")),
        ("held by hubkey", models::browser("alice")),
    ];
    for (name, model) in held {
        assert_kept_out(name, model, "not_a_server_token", "from a notebook").await;
    }
}

#[tokio::test]
async fn security_k2_a_token_that_is_no_servers_opens_nothing() {
    let tokens = [
        (
            "mallory in alice's server",
            models::on_server_of("mallory", "alice"),
        ),
        (
            "an admin in alice's server",
            models::admin_on_server_of("root_admin", "alice"),
        ),
        ("a service", models::service("setup")),
        ("alice's own token", models::inherit("alice")),
        ("by a group", models::by_group("alice", "lab")),
    ];
    for (name, model) in tokens {
        assert_kept_out(name, model, "not_a_server_token", "from a notebook").await;
    }
}

#[tokio::test]
async fn security_k3_without_the_kernel_scope_the_answer_says_what_to_configure() {
    let hint = "custom:hubkey:kernel!user";
    let plain = models::server_of_plain_hub("alice", "");
    assert_kept_out("a plain Hub", plain, "missing_server_scope", hint).await;
    let mut foreign = models::server("alice", "");
    for scope in foreign["scopes"].as_array_mut().unwrap() {
        if scope == "custom:hubkey:kernel!user=alice" {
            *scope = json!("custom:hubkey:kernel!user=mallory");
        }
    }
    assert_kept_out("mallory's scope", foreign, "missing_server_scope", hint).await;
}

/// Answers about a token that would be alice's server's, were they right.
fn nonsense() -> Vec<(&'static str, Reply)> {
    let with = |member: &str, value: Option<Value>| {
        let mut model = models::server("alice", "");
        let members = model.as_object_mut().unwrap();
        match value {
            Some(value) => members.insert(member.to_owned(), value),
            None => members.remove(member),
        };
        Reply::json(&model)
    };
    let honest = models::server("alice", "").to_string();
    let twice = honest.replacen('{', r#"{"session_id":"64c2","#, 1);
    vec![
        ("no session_id", with("session_id", None)),
        ("a numeric session_id", with("session_id", Some(json!(0)))),
        ("no scopes", with("scopes", None)),
        (
            "scopes as text",
            with("scopes", Some(json!("access:servers!server=alice/"))),
        ),
        ("scopes as null", with("scopes", Some(Value::Null))),
        ("name null", with("name", Some(Value::Null))),
        ("name empty", with("name", Some(json!("")))),
        ("name of 4 kB", with("name", Some(json!("a".repeat(4096))))),
        ("another kind", with("kind", Some(json!("User")))),
        ("a key twice", Reply::json_text(twice)),
        ("HTML", Reply::html("<!doctype html><title>Log in</title>")),
        (
            "half of it",
            Reply::json_text(honest[..honest.len() / 2].to_owned()),
        ),
        ("nothing", Reply::new(StatusCode::OK)),
        ("a list", Reply::json(&json!([models::server("alice", "")]))),
        (
            "201",
            Reply::json(&models::server("alice", "")).with_status(StatusCode::CREATED),
        ),
        (
            "a redirect",
            Reply::redirect(StatusCode::FOUND, "/hub/login"),
        ),
        ("a fault", Reply::new(StatusCode::INTERNAL_SERVER_ERROR)),
    ]
}

#[tokio::test]
async fn security_k5_an_answer_of_the_hub_that_makes_no_sense_opens_nothing() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    for (name, reply) in nonsense() {
        let kernel = world.kernel_with(&world.hub.token_with_reply(reply));
        let answer = kernel.create(&json!({"provider": "lab-api"})).await;
        match answer.status {
            StatusCode::FORBIDDEN => {
                answer.assert_problem(StatusCode::FORBIDDEN, "not_a_server_token");
            }
            _ => answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "hub_unavailable"),
        }
        assert_eq!(world.probe.commits(), 0, "{name}");
    }
    assert!(!trail.has("sign_in_started"));
}

#[tokio::test]
async fn security_k8_a_revoked_token_opens_nothing_half_a_minute_later() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    world.hub.revoke(&kernel.token);
    let before = world.traces();
    let created = kernel.create(&json!({"provider": "lab-api"})).await;
    created.assert_problem(StatusCode::FORBIDDEN, "invalid_token");
    world.clock.advance(Duration::from_secs(31));
    let draw = format!("/v1/connections/{}/token", connection.id);
    for (method, path, body) in
        doors()
            .into_iter()
            .chain([(Method::POST, draw.as_str(), Some(json!({})))])
    {
        let answer = kernel.send(method, path, body.as_ref()).await;
        answer.assert_problem(StatusCode::FORBIDDEN, "invalid_token");
        assert!(!answer.text().contains(&connection.access_token));
    }
    assert_eq!(world.traces(), before);
}

#[tokio::test]
async fn security_k8_a_token_revoked_before_delivery_gets_nothing() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    world.browser("alice").sign_in(&sign_in).await;
    world.hub.revoke(&kernel.token);
    for _ in 0..2 {
        let answer = kernel.poll(&sign_in).await;
        answer.assert_problem(StatusCode::FORBIDDEN, "invalid_token");
        world.clock.advance(Duration::from_secs(6));
    }
    assert!(!trail.has("token_delivered"));
}

#[tokio::test]
async fn security_k8_while_the_hub_is_down_nothing_opens_and_nothing_is_delivered() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let waiting = kernel
        .open_with(&json!({"scopes": ["openid", "projects:write"]}))
        .await;
    let finished = kernel.open().await;
    world.browser("alice").sign_in(&finished).await;
    for fault in [Fault::Down, Fault::Status(500), Fault::Html] {
        world.hub.fault(fault);
        let commits = world.probe.commits();
        let created = kernel
            .create(&json!({"scopes": ["openid", "projects:write"]}))
            .await;
        created.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "hub_unavailable");
        assert_eq!(world.probe.commits(), commits);
        assert_eq!(kernel.state(&waiting).await, "pending", "{fault:?}");
        let delivery = kernel.poll(&finished).await;
        delivery.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "hub_unavailable");
    }
    world.hub.fault(Fault::None);
    assert_eq!(kernel.state(&finished).await, "connected");
}

/// What a kernel other than the sign-in's own is told.
async fn poll_with(kernel: &TestKernel, nonce: &str, secret: &str) -> Answer {
    let answer = kernel.poll_as(nonce, secret).await;
    answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
    answer
}

#[tokio::test]
async fn security_k7_every_wrong_pair_of_proofs_is_answered_like_an_unknown_sign_in() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let alice = world.kernel("alice", "");
    let mallory = world.kernel("mallory", "");
    let gpu = world.kernel("alice", "gpu");
    let restarted = world.kernel("alice", "");
    let (sign_in, other) = (alice.open().await, alice.open().await);
    let unknown = "abcdef.AAAAAAAAAAAAAAAAAAAAAA";
    let before = world.traces();
    let expected = poll_with(&alice, unknown, &sign_in.poll_secret).await;
    let (nonce, secret) = (&sign_in.nonce, &sign_in.poll_secret);
    let answers = [
        ("mallory's token", poll_with(&mallory, nonce, secret).await),
        (
            "another server's token",
            poll_with(&gpu, nonce, secret).await,
        ),
        (
            "after a restart",
            poll_with(&restarted, nonce, secret).await,
        ),
        ("a wrong secret", poll_with(&alice, nonce, "wrong").await),
        (
            "another sign-in's secret",
            poll_with(&alice, nonce, &other.poll_secret).await,
        ),
        ("not a nonce", poll_with(&alice, "nonsense", secret).await),
    ];
    for (name, answer) in answers {
        assert_eq!(answer, expected, "{name}");
    }
    for kernel in [&mallory, &gpu, &restarted] {
        assert_eq!(kernel.acknowledge(&sign_in).await, expected);
        assert_eq!(kernel.cancel(&sign_in).await, expected);
    }
    assert_eq!(world.traces(), before, "nothing was written");
    let alarms = trail.events();
    let alarms = alarms
        .iter()
        .filter(|event| event.contains("reason=foreign_server_token"));
    assert_eq!(alarms.count(), 3 + 6, "one for each use of a stolen secret");
    assert_eq!(alice.state(&sign_in).await, "pending");
}

#[tokio::test]
async fn security_k4_whether_a_server_is_shared_is_never_guessed() {
    let trail = AuditTrail::begin();
    for shared_servers in [SharedServers::Warn, SharedServers::Deny] {
        let world = World::with(WorldOptions {
            shared_servers,
            ..WorldOptions::default()
        })
        .await;
        let kernel = world.kernel("alice", "");
        let fault = Reply::new(StatusCode::INTERNAL_SERVER_ERROR);
        world.hub.answer(HubEndpoint::Shares, fault);
        let answer = kernel.create(&json!({})).await;
        answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "hub_unavailable");
        assert_eq!(world.probe.commits(), 0);
        world.hub.answer_honestly(HubEndpoint::Shares);
        kernel.open().await;
    }
    assert!(!trail.has("policy_denied"), "nobody did anything wrong");
}
