//! Where a kernel's token is looked for: in one header and nowhere else (rule K6).

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, StatusCode, header};
use hubkey_fakes::scripted_hub::HubEndpoint;
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

use crate::support::world::{World, send};

/// A request that would open a sign-in, but for these headers.
fn request(path: &str, headers: &[(header::HeaderName, String)], body: &Value) -> Request<Body> {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        request = request.header(name, value);
    }
    request
        .body(Body::from(body.to_string()))
        .expect("a request")
}

/// Requests of a program that has a good token, and does not put it where it belongs.
fn misplaced(token: &str) -> Vec<(&'static str, Request<Body>)> {
    let (plain, path) = (json!({"provider": "lab-api"}), "/v1/sign-ins");
    let cookie = (header::COOKIE, format!("token={token}"));
    let query = format!("{path}?token={token}&access_token={token}");
    vec![
        ("nowhere", request(path, &[], &plain)),
        ("in the query", request(&query, &[], &plain)),
        ("in a cookie", request(path, &[cookie], &plain)),
        ("in the body", request(path, &[], &json!({"token": token}))),
    ]
}

/// Values of the header that do not carry one good token.
fn misspelt(token: &str) -> Vec<String> {
    vec![
        format!("Basic {token}"),
        token.to_owned(),
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer {token} "),
        format!("Bearer {token},{token}"),
        format!("Bearer {token}é"),
        format!("Bearer {token}="),
        "Bearer abc".to_owned(),
        format!("Bearer {}", "a".repeat(257)),
        format!("Bearer {}", "a".repeat(64 * 1024)),
    ]
}

#[tokio::test]
async fn security_k6_a_token_elsewhere_than_in_one_bearer_header_is_never_shown_to_the_hub() {
    let world = World::new().await;
    let token = world.hub.server_token("alice", "");
    let body = json!({"provider": "lab-api"});
    let mut requests = misplaced(&token);
    for value in misspelt(&token) {
        let header = (header::AUTHORIZATION, value);
        requests.push(("misspelt", request("/v1/sign-ins", &[header], &body)));
    }
    for (name, request) in requests {
        let shown = format!("{name}: {:?}", request.headers().get(header::AUTHORIZATION));
        let answer = send(&world.kernel_api, request).await;
        answer.assert_problem(StatusCode::UNAUTHORIZED, "missing_token");
        assert_eq!(
            answer.headers[header::WWW_AUTHENTICATE],
            "Bearer",
            "{shown}"
        );
        assert!(!answer.text().contains(&token), "{shown}");
    }
    let header = (header::AUTHORIZATION, format!("Bearer {token}"));
    let twice = request("/v1/sign-ins", &[header.clone(), header], &body);
    let answer = send(&world.kernel_api, twice).await;
    answer.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
    assert!(!answer.text().contains(&token));
    assert_eq!(world.hub.hits(HubEndpoint::User), 0);
    assert_eq!(world.probe.commits(), 0);
}

#[tokio::test]
async fn a_token_is_taken_from_a_bearer_or_token_header() {
    let world = World::new().await;
    let token = world.hub.server_token("alice", "");
    for scheme in ["Bearer", "bearer", "token"] {
        let header = (header::AUTHORIZATION, format!("{scheme} {token}"));
        let request = request("/v1/sign-ins", &[header], &json!({}));
        let answer = send(&world.kernel_api, request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{scheme}");
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
