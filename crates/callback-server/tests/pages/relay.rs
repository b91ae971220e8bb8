//! What each route hands to the broker, and what becomes of the broker's answer.

use http::{Method, StatusCode};
use hubkey_protocol::internal::{BrowserAnswer, Page, Refusal};
use serde_json::json;

use crate::support::{
    COOKIE, SHARED_SECRET, STATE, Server, TICKET, Visit, confirm_page, done_page, leave, redirect,
    refused, short,
};

#[tokio::test]
async fn start_hands_on_the_ticket_and_redirects_to_the_hub() {
    let server = Server::own().await;
    let location =
        "https://hub.example.org/hub/api/oauth2/authorize?client_id=service-hubkey&state=abcdef.x";
    server.broker.says(redirect(location));
    let answer = server.open(&format!("/start/{TICKET}?utm_source=x")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), location);
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/start");
    assert_eq!(call.authorization, Some(format!("Bearer {SHARED_SECRET}")));
    assert_eq!(call.body, json!({"ticket": TICKET, "source": null}));
}

#[tokio::test]
async fn hub_callback_hands_on_code_state_and_the_cookie_that_the_state_names() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    let visit =
        Visit::open(&format!("/oauth_callback?code=hub-code&state={STATE}")).with("cookie", COOKIE);
    let answer = server.visit(visit).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/sign-in/abcdef")
    );
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/hub-callback");
    assert_eq!(
        call.body,
        json!({
            "flow_cookie": "flow-cookie", "code": "hub-code", "state": STATE, "source": null, "peer": null,
        })
    );
}

#[tokio::test]
async fn callback_hands_on_issuer_and_error_but_never_the_description() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    let query = format!(
        "state={STATE}&code=c&iss=https%3A%2F%2Flogin.lab.example&error=access_denied&error_description=canary&error_uri=canary"
    );
    server
        .visit(Visit::open(&format!("/callback/lab-api?{query}")).with("cookie", COOKIE))
        .await;
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/callback/lab-api");
    let expected = json!({
        "flow_cookie": "flow-cookie", "state": STATE, "code": "c", "iss": "https://login.lab.example",
        "error": "access_denied", "source": null,
    });
    assert_eq!(call.body, expected);
}

#[tokio::test]
async fn view_shows_the_page_of_the_flow() {
    let server = Server::own().await;
    server.broker.shows(Page::Done(done_page()));
    let answer = server
        .visit(Visit::open("/sign-in/abcdef").with("cookie", COOKIE))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("Your notebook goes on by itself"));
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/view");
    assert_eq!(
        call.body,
        json!({"flow": "abcdef", "flow_cookie": "flow-cookie", "source": null})
    );
}

#[tokio::test]
async fn decisions_carry_flow_cookie_form_token_and_button() {
    for (path, internal, button, decision) in [
        (
            "/continue/abcdef",
            "/internal/v1/continue",
            "accept",
            "accept",
        ),
        (
            "/confirm/abcdef",
            "/internal/v1/confirm",
            "cancel",
            "cancel",
        ),
    ] {
        let server = Server::own().await;
        server.broker.says(leave(
            "https://login.lab.example/authorize?state=x&prompt=login",
        ));
        let visit = Visit::press(path, &format!("csrf=form-token&decision={button}&more=x"))
            .with("cookie", COOKIE);
        let answer = server.visit(visit).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.header("refresh"),
            "0;url=https://login.lab.example/authorize?state=x&prompt=login"
        );
        assert!(
            answer
                .body
                .contains(r#"href="https://login.lab.example/authorize?state=x&#38;prompt=login""#)
        );
        let call = server.broker.call();
        assert_eq!(call.path, internal);
        let expected = json!({
            "flow": "abcdef", "flow_cookie": "flow-cookie", "csrf": "form-token", "decision": decision, "source": null,
        });
        assert_eq!(call.body, expected);
    }
}

#[tokio::test]
async fn below_a_path_of_the_hub_the_same_routes_answer() {
    let server = Server::shared().await;
    server.broker.shows(Page::Confirm(confirm_page()));
    let visit = Visit::open("/services/hubkey/sign-in/abcdef")
        .with("cookie", "__Http-hk-abcdef=flow-cookie");
    let answer = server.visit(visit).await;
    assert!(
        answer
            .body
            .contains(r#"action="/services/hubkey/confirm/abcdef""#)
    );
    assert_eq!(server.broker.call().body["flow_cookie"], "flow-cookie");
    server.broker.says(BrowserAnswer::View { flow: short() });
    let answer = server
        .open(&format!(
            "/services/hubkey/oauth_callback?code=c&state={STATE}"
        ))
        .await;
    assert_eq!(answer.header("location"), "/services/hubkey/sign-in/abcdef");
    for path in ["/services/hubkey", "/services/hubkey/"] {
        assert_eq!(server.open(path).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/",
        "/sign-in/abcdef",
        "/services/hubkeyx/",
        "/services/hubkey//",
    ] {
        assert_eq!(
            server.open(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn security_p2_parameters_that_stand_there_twice_are_refused() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    let s = format!("state={STATE}");
    for path in [
        format!("/callback/lab-api?code=a&code=b&{s}"),
        format!("/callback/lab-api?code=a&{s}&{s}"),
        format!("/callback/lab-api?code=a&iss=a&iss=a&{s}"),
        format!("/callback/lab-api?error=a&error=b&{s}"),
        format!("/callback/lab-api?code=a&c%6fde=b&{s}"),
        format!("/oauth_callback?code=a&code=b&{s}"),
        format!("/oauth_callback?code=a&{s}&{s}"),
        "/oauth_callback?code=a".to_owned(),
        "/callback/lab-api?code=a".to_owned(),
        "/callback/lab-api".to_owned(),
        format!("/callback/lab-api?code=a&state=abcdef.{}", "x".repeat(300)),
    ] {
        let answer = server
            .visit(Visit::open(&path).with("cookie", COOKIE))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
    for form in [
        "csrf=a&csrf=b&decision=accept",
        "csrf=a&decision=accept&decision=cancel",
        "csrf=a",
        "csrf=a&decision=x",
    ] {
        let answer = server
            .visit(Visit::press("/confirm/abcdef", form).with("cookie", COOKIE))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{form}");
    }
    assert!(server.broker.calls().is_empty());
    let again = format!("/callback/lab-api?code=a&{s}&session_state=a&session_state=b");
    assert_eq!(
        server.open(&again).await.status,
        StatusCode::SEE_OTHER,
        "unknown names are ignored"
    );
}

#[tokio::test]
async fn a_form_of_another_kind_or_size_is_refused() {
    let server = Server::own().await;
    let form = "csrf=form-token&decision=accept";
    for media_type in [
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
    ] {
        let visit = Visit::press("/confirm/abcdef", form).with("content-type", media_type);
        assert_eq!(
            server.visit(visit).await.status,
            StatusCode::BAD_REQUEST,
            "{media_type}"
        );
    }
    let large = format!("{form}&more={}", "x".repeat(17 * 1024));
    let answer = server.press("/confirm/abcdef", &large).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("</html>"));
    assert!(server.broker.calls().is_empty());
}

#[tokio::test]
async fn security_b9_a_missing_form_token_reaches_the_broker_as_a_wrong_one() {
    let server = Server::own().await;
    server.broker.says(refused(Refusal::Forbidden));
    let answer = server
        .visit(Visit::press("/confirm/abcdef", "decision=accept").with("cookie", COOKIE))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(server.broker.call().body["csrf"], "");
}

#[tokio::test]
async fn refusals_have_their_status_and_the_brokers_reference() {
    let server = Server::own().await;
    for (refusal, status, retry_after) in [
        (Refusal::InvalidLink, StatusCode::GONE, None),
        (Refusal::Forbidden, StatusCode::FORBIDDEN, None),
        (Refusal::Malformed, StatusCode::BAD_REQUEST, None),
        (
            Refusal::RateLimited,
            StatusCode::TOO_MANY_REQUESTS,
            Some("60"),
        ),
        (
            Refusal::Unavailable,
            StatusCode::SERVICE_UNAVAILABLE,
            Some("10"),
        ),
    ] {
        server.broker.says(refused(refusal));
        let answer = server.open(&format!("/start/{TICKET}")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.reference().as_str(), "7QK2-M4TX");
        assert_eq!(
            answer
                .headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap()),
            retry_after
        );
    }
}

#[tokio::test]
async fn without_the_broker_a_page_says_what_to_do() {
    let alone = Server::alone().await;
    let asked = Server::own().await;
    let problem = |status: u16, code: &str| json!({"status": status, "code": code, "title": "canary", "detail": "canary"});
    let mut answers = vec![alone.open(&format!("/start/{TICKET}")).await];
    for (status, body) in [
        (StatusCode::UNAUTHORIZED, problem(401, "missing_token")),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            problem(503, "store_unavailable"),
        ),
        (StatusCode::OK, json!({"answer": {"kind": "something new"}})),
        (StatusCode::OK, json!("canary")),
        (StatusCode::FOUND, json!({})),
    ] {
        asked.broker.answers(status, body);
        answers.push(asked.open(&format!("/start/{TICKET}")).await);
    }
    for answer in answers {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            answer
                .body
                .contains("Wait a minute, then open the link in your notebook again.")
        );
        assert!(!answer.body.contains("canary"));
        let _ = answer.reference();
    }
    asked
        .broker
        .answers(StatusCode::TOO_MANY_REQUESTS, problem(429, "rate_limited"));
    assert_eq!(
        asked.open(&format!("/start/{TICKET}")).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    let home = alone.visit(Visit::bare(Method::GET, "/")).await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(
        home.body.contains("hubkey.example.org"),
        "without the broker the header names our own host"
    );
}
