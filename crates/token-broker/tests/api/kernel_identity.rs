//! Who may use the kernel API at all (SECURITY K1 to K8).

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hubkey_e2e::{
    fake_http::Reply,
    scripted_hub::{Fault, HubEndpoint, models},
};
use hubkey_service::{
    http::{Limits, Server},
    telemetry::Metrics,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::{
    audit::AuditTrail,
    kernel::TestKernel,
    world::{Answer, Traces, World, send},
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
async fn assert_kept_out(name: &str, model: Value, reason: &str, hint: &str) {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel_with(&world.hub.token_of(model));
    for (method, path, body) in doors() {
        let answer = kernel.send(method, path, body.as_ref()).await;
        answer.assert_problem(StatusCode::FORBIDDEN, "not_a_server_token");
        assert!(answer.text().contains(hint), "{name}: {}", answer.text());
    }
    let nothing = Traces {
        commits: 0,
        redeemed: 0,
    };
    assert_eq!(world.traces(), nothing, "{name}");
    assert!(
        trail.says("policy_denied", &format!("reason={reason}")),
        "{name}: {:?}",
        trail.events()
    );
    assert!(!trail.has("session_created"), "{name}");
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
    assert_kept_out("a plain Hub", plain, "missing_kernel_scope", hint).await;
    let mut foreign = models::server("alice", "");
    for scope in foreign["scopes"].as_array_mut().unwrap() {
        if scope == "custom:hubkey:kernel!user=alice" {
            *scope = json!("custom:hubkey:kernel!user=mallory");
        }
    }
    assert_kept_out("mallory's scope", foreign, "missing_kernel_scope", hint).await;
}

#[tokio::test]
async fn security_k5_an_answer_of_the_hub_that_makes_no_sense_opens_nothing() {
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
    let replies = [
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
    ];
    let trail = AuditTrail::begin();
    let world = World::new().await;
    for (name, reply) in replies {
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
    assert!(!trail.has("session_created"));
}

/// A request of a program that has a good token, but not where it belongs.
fn misplaced(token: &str) -> Vec<(&'static str, Request<Body>, StatusCode)> {
    let body = json!({"provider": "lab-api"});
    let post = |path: &str| {
        Request::post(path.to_owned()).header(header::CONTENT_TYPE, "application/json")
    };
    let with = |request: http::request::Builder, body: &Value| {
        request.body(Body::from(body.to_string())).unwrap()
    };
    let authorized = |value: &str| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        with(
            post("/v1/sign-ins").header(header::AUTHORIZATION, value),
            &body,
        )
    };
    let two = post("/v1/sign-ins")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let unauthorized = StatusCode::UNAUTHORIZED;
    vec![
        ("nowhere", with(post("/v1/sign-ins"), &body), unauthorized),
        (
            "in the query",
            with(post(&format!("/v1/sign-ins?token={token}")), &body),
            unauthorized,
        ),
        (
            "in a cookie",
            with(
                post("/v1/sign-ins").header(header::COOKIE, format!("token={token}")),
                &body,
            ),
            unauthorized,
        ),
        (
            "in the body",
            with(post("/v1/sign-ins"), &json!({"token": token})),
            unauthorized,
        ),
        ("twice", with(two, &body), StatusCode::BAD_REQUEST),
        ("Basic", authorized(&format!("Basic {token}")), unauthorized),
        ("bare", authorized(token), unauthorized),
        ("empty", authorized("Bearer "), unauthorized),
        (
            "two spaces",
            authorized(&format!("Bearer  {token}")),
            unauthorized,
        ),
        (
            "two tokens",
            authorized(&format!("Bearer {token},{token}")),
            unauthorized,
        ),
        (
            "a tab",
            authorized(&format!("Bearer\t{token}")),
            unauthorized,
        ),
        (
            "not ASCII",
            authorized(&format!("Bearer {token}é")),
            unauthorized,
        ),
        ("short", authorized("Bearer abc"), unauthorized),
        (
            "64 kB",
            authorized(&format!("Bearer {}", "a".repeat(64 * 1024))),
            unauthorized,
        ),
    ]
}

#[tokio::test]
async fn security_k6_a_token_elsewhere_than_in_one_bearer_header_is_never_shown_to_the_hub() {
    let world = World::new().await;
    let token = world.hub.server_token("alice", "");
    for (name, request, status) in misplaced(&token) {
        let answer = send(&world.kernel_api, request).await;
        let code = if status == StatusCode::UNAUTHORIZED {
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer", "{name}");
            "missing_token"
        } else {
            "bad_request"
        };
        answer.assert_problem(status, code);
        assert!(!answer.text().contains(&token), "{name}");
    }
    assert_eq!(world.hub.hits(HubEndpoint::User), 0);
    assert_eq!(world.probe.commits(), 0);
    let scheme = world.kernel_with(&token);
    for scheme_name in ["Bearer", "bearer", "token"] {
        let mut request = scheme.request(Method::GET, "/v1/providers", None);
        let value = format!("{scheme_name} {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        assert_eq!(
            send(&world.kernel_api, request).await.status,
            StatusCode::OK
        );
    }
}

/// Sends bytes to the real listener; gives the first line of its answer.
async fn over_the_wire(world: &World, request: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let metrics = Metrics::new("0", "0").unwrap();
    let server = Server::new("kernel", Limits::kernel(), &metrics);
    let serving = tokio::spawn(server.serve(listener, world.kernel_api.clone(), stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .expect("the server answers and closes");
    stop.cancel();
    serving.await.unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn security_k6_a_token_with_nul_or_of_64_kb_ends_at_the_listener() {
    let world = World::new().await;
    let token = world.hub.server_token("alice", "");
    let request = |token: &str| {
        format!(
            "GET /v1/providers HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        )
    };
    let honest = over_the_wire(&world, request(&token).as_bytes()).await;
    assert_eq!(honest, "HTTP/1.1 200 OK");
    world.hub.forget_requests();
    let nul = over_the_wire(&world, request(&format!("{token}\0")).as_bytes()).await;
    assert!(nul.starts_with("HTTP/1.1 400 "), "{nul}");
    let long = request(&"a".repeat(64 * 1024));
    let long = over_the_wire(&world, long.as_bytes()).await;
    assert!(
        long.is_empty() || long.starts_with("HTTP/1.1 431 "),
        "{long}"
    );
    assert_eq!(world.hub.hits(HubEndpoint::User), 0);
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
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
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
    assert_eq!(kernel.state(&finished).await, "ready");
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
    for path in ["", "/ack"] {
        let method = if path.is_empty() {
            Method::DELETE
        } else {
            Method::POST
        };
        for token in [&mallory.token, &gpu.token, &restarted.token] {
            let mut request = world.kernel_with(token).request(
                method.clone(),
                &format!("/v1/sign-ins/{nonce}{path}"),
                None,
            );
            let secret = secret.parse().unwrap();
            request.headers_mut().insert("hubkey-poll-secret", secret);
            assert_eq!(send(&world.kernel_api, request).await, expected, "{path}");
        }
    }
    assert_eq!(world.traces(), before, "nothing was written");
    let alarms = trail.events();
    let alarms = alarms
        .iter()
        .filter(|event| event.contains("reason=foreign_server_token"));
    assert_eq!(alarms.count(), 3 + 6, "one for each use of a stolen secret");
    assert_eq!(alice.state(&sign_in).await, "pending");
}
