use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read is asked")]
struct Message {
    provider: String,
    #[serde(default)]
    scopes: Vec<String>,
    timeout: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Search {
    code: String,
}

fn router() -> Router {
    Router::new()
        .route("/messages", post(async |_: Json<Message>| Json(["read"])))
        .route(
            "/search",
            get(async |Query(search): Query<Search>| search.code),
        )
}

async fn send(running: &Running, media_type: &str, body: &str) -> String {
    let head = format!(
        "POST /messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {media_type}\r\ncontent-length: {}",
        body.len()
    );
    running.ask(format!("{head}\r\n\r\n{body}")).await
}

#[tokio::test]
async fn message_is_read_and_written_as_json() {
    let running = start(quick(), router()).await;
    let body = r#"{"provider": "lab-api", "scopes": ["read"]}"#;
    let answer = send(&running, "application/json; charset=utf-8", body).await;
    assert!(
        status(&answer) == 200 && answer.ends_with(r#"["read"]"#),
        "{answer}"
    );
    assert!(
        answer.contains("content-type: application/json\r\n"),
        "{answer}"
    );
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
}

#[tokio::test]
async fn security_l4_rejection_names_the_field_and_never_the_value() {
    let running = start(quick(), router()).await;
    let cases = [
        (r#"{"scopes": ["canary"]}"#, "Add the field `provider`."),
        (r#"{"provider": "x", "timeout": "canary"}"#, "`timeout`"),
        (
            r#"{"provider": "x", "scopes": ["ok", {"canary": 1}]}"#,
            "`scopes[1]`",
        ),
        (
            r#"{"provider": "x", "canary-canary-canary-canary": 1}"#,
            "Remove the fields",
        ),
        (
            r#"{"provider": "x", "canary\u00e9": 1}"#,
            "Remove the fields",
        ),
        (r#"{"provider": "x", "provider": "canary"}"#, "a key twice"),
        (
            r#"{"provider": "x", "scopes": [{"a": 1, "a": "canary"}]}"#,
            "a key twice",
        ),
        (r#"{"provider": "x"} canary"#, "line 1"),
        ("canary", "line 1"),
        (r#""canary""#, "API reference"),
        ("", "line 1"),
    ];
    for (body, advice) in cases {
        let answer = send(&running, "application/json", body).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (400, "bad_request")
        );
        assert!(
            answer.contains(advice) && !answer.contains("canary"),
            "{body}: {answer}"
        );
    }
}

#[tokio::test]
async fn found_k5_a_field_that_no_message_has_is_named() {
    let running = start(quick(), router()).await;
    for name in ["scope", "min_valid", "Provider", "existing-only"] {
        let body = format!(r#"{{"provider": "x", "{name}": 1}}"#);
        let answer = send(&running, "application/json", &body).await;
        assert_eq!(problem_code(&answer), "bad_request");
        let advice = format!("Remove the field `{name}`");
        assert!(answer.contains(&advice), "{answer}");
    }
}

#[tokio::test]
async fn found_k2_a_body_of_another_media_type_is_refused_with_415() {
    let running = start(quick(), router()).await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let answer = send(&running, media_type, r#"{"provider": "x"}"#).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (415, "unsupported_media_type")
        );
    }
}

#[tokio::test]
async fn query_parameter_given_twice_is_refused() {
    let running = start(quick(), router()).await;
    assert!(running.get("/search?code=abc").await.ends_with("abc"));
    for query in ["code=canary&code=canary", "other=canary", ""] {
        let answer = running.get(&format!("/search?{query}")).await;
        assert_eq!(problem_code(&answer), "bad_request");
        assert!(!answer.contains("canary"), "{answer}");
    }
}

#[tokio::test]
async fn security_q9_unknown_and_malformed_are_answered_alike() {
    let running = start(quick(), sample()).await;
    let shown = |answer: String| {
        let is_constant =
            |line: &&str| !line.starts_with("date: ") && !line.starts_with("x-request-id: ");
        answer
            .lines()
            .filter(is_constant)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let unknown = shown(running.get("/nowhere").await);
    assert_eq!(unknown, shown(running.get("/things/not-a-number").await));
    assert_eq!(unknown, shown(running.get("/things/99999999999999").await));
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
}

#[tokio::test]
async fn method_that_is_not_taken_is_told_which_are() {
    let running = start(quick(), sample()).await;
    let request = "DELETE /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = running.ask(request).await;
    assert_eq!(
        (status(&answer), problem_code(&answer).as_str()),
        (405, "method_not_allowed")
    );
    assert!(answer.contains("allow: GET,HEAD"), "{answer}");
}

#[test]
fn failures_carry_their_headers_and_hide_their_cause() {
    use axum::response::IntoResponse as _;
    use hubkey_protocol::ErrorCode;
    let cause = std::io::Error::other("canary");
    let failure = Failure::new(ErrorCode::RateLimited, "Too fast.", "Wait.")
        .retry_after(7)
        .because(cause);
    assert_eq!(failure.to_string(), "Too fast.");
    let response = failure.into_response();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["retry-after"]
        ),
        (429, &"7".parse().unwrap())
    );
    let missing = Failure::new(ErrorCode::MissingToken, "No token.", "Send one.").into_response();
    assert_eq!(missing.headers()["www-authenticate"], "Bearer");
}
