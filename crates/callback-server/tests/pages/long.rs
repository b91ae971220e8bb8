//! Addresses, codes and cookies as long as they occur, and those that are longer than hubkey takes.

use std::time::{Duration, Instant};

use http::Method;
use hubkey_protocol::{
    bounds::{Bound, BoundGroup},
    internal::{BrowserAnswer, Refusal},
};
use hubkey_starters::{hub_proxy::HubProxy, process::RunFolder};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    process::Running,
    support::{COOKIE, Call, STATE, Server, Visit, refused, short},
};

fn back(code: &str) -> String {
    format!("/callback/lab-api?code={code}&state={STATE}")
}

/// What the broker is told where something was left out.
fn left_out(what: &str) -> Value {
    json!({
        "flow_cookie": "flow-cookie", "state": STATE, "code": null, "iss": null, "error": null, "source": null,
        "too_long": what,
    })
}

#[tokio::test]
async fn found_c1_codes_of_eight_kib_are_handed_on_and_longer_ones_are_told() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    let open = async |path: &str| {
        let answer = server.visit(Visit::open(path).with("cookie", COOKIE)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        server.broker.calls().pop().unwrap().body
    };
    for length in [3100, 3900, 4100, 5000, 8192] {
        let code = "c".repeat(length);
        let body = open(&back(&code)).await;
        assert_eq!(body["code"], code);
        assert!(body.get("too_long").is_none(), "{body}");
    }
    // An escape counts as the character that it stands for.
    let body = open(&back(&"%2B".repeat(3000))).await;
    assert_eq!(body["code"], "+".repeat(3000));
    assert_eq!(open(&back(&"c".repeat(8193))).await, left_out("code"));
    let issuer = format!("{}&iss={}", back("c"), "i".repeat(513));
    assert_eq!(open(&issuer).await, left_out("issuer"));
    // A long error is one that nobody knows.
    let error = format!("/callback/lab-api?state={STATE}&error={}", "e".repeat(65));
    assert_eq!(open(&error).await["error"], "error_too_long");
}

#[tokio::test]
async fn found_c1_a_state_that_is_too_long_is_nobodys_and_gets_a_page() {
    let server = Server::own().await;
    for path in ["callback/lab-api", "oauth_callback"] {
        let path = format!("/{path}?code=c&state=abcdef.{}", "x".repeat(300));
        let answer = server
            .visit(Visit::open(&path).with("cookie", COOKIE))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains("What your browser sent is too long"));
        let _ = answer.reference();
    }
    assert!(server.broker.calls().is_empty());
}

/// A request of a browser with its flow cookie.
async fn visit(running: &Running, path: &str, cookies: &str) -> (StatusCode, String, String) {
    let request = running
        .get(path)
        .header("cookie", format!("{COOKIE}; {cookies}"))
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("sec-fetch-site", "cross-site");
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (answer.status(), kind, answer.text().await.unwrap())
}

fn told(call: Option<Call>) -> Value {
    let mut body = call.expect("the broker was told").body;
    body["source"] = Value::Null;
    body
}

#[tokio::test]
async fn found_c1_a_head_that_is_too_large_is_told_to_the_broker_without_its_code() {
    let (running, broker) = Running::with_broker(&[]).await;
    broker.says(refused(Refusal::Forbidden));
    let cookies = |length| format!("theirs={}", "b".repeat(length));
    for (code, cookies, what) in [
        (8192, cookies(14_000), None),
        (11_000, String::new(), Some("code")),
        (13_000, String::new(), Some("address")),
        (60_000, String::new(), Some("address")),
        (100, cookies(25_000), Some("header")),
        (8192, cookies(40_000), Some("header")),
    ] {
        let (status, kind, _) = visit(&running, &back(&"c".repeat(code)), &cookies).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "as the broker said");
        assert!(kind.starts_with("text/html"));
        let body = told(broker.calls().pop());
        match what {
            None => assert_eq!(body["code"], "c".repeat(code)),
            Some(what) => assert_eq!(body, left_out(what)),
        }
    }
    let log = running.end().await;
    assert!(!log.contains("cccccccc") && !log.contains("flow-cookie"));
}

#[tokio::test]
async fn found_c1_other_routes_and_longer_heads_get_a_page_and_reach_nobody() {
    let (running, broker) = Running::with_broker(&[]).await;
    broker.says(BrowserAnswer::View { flow: short() });
    let long = "x".repeat(13_000);
    let cookies = format!("theirs={}", "b".repeat(25_000));
    let hub = format!("/oauth_callback?code={long}&state={STATE}");
    for (path, cookies, expected) in [
        (hub.as_str(), "", StatusCode::URI_TOO_LONG),
        (&format!("/start/{long}"), "", StatusCode::URI_TOO_LONG),
        (&format!("/?{long}"), "", StatusCode::URI_TOO_LONG),
        (&format!("/nowhere/{long}"), "", StatusCode::URI_TOO_LONG),
        (
            "/sign-in/abcdef",
            &cookies,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ),
    ] {
        let (status, kind, text) = visit(&running, path, cookies).await;
        assert_eq!(status, expected);
        assert_eq!(kind, "text/html; charset=utf-8");
        assert!(
            text.contains("What your browser sent is too long"),
            "{text}"
        );
        assert!(text.contains("</html>"));
    }
    // What is no navigation of a person is no more one for being long.
    let request = running
        .get(&back(&"c".repeat(20_000)))
        .header("cookie", COOKIE)
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-dest", "empty")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert!(broker.calls().is_empty(), "{:?}", broker.calls());
    running.end().await;
}

/// No client of ours sends an address of more than 65,534 bytes.
async fn visit_raw(running: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(running.public()).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\ncookie: {COOKIE}\r\n\r\n");
    // The page may come before all is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn found_c1_a_head_that_is_not_read_gets_a_page_with_the_headers_of_every_page() {
    let (running, broker) = Running::with_broker(&[]).await;
    let near = running.get("/nowhere").send().await.unwrap();
    for length in [70_000, 1_000_000] {
        let begun = Instant::now();
        let far = visit_raw(&running, &back(&"c".repeat(length))).await;
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(far.starts_with("HTTP/1.1 414 "), "{length}");
        assert!(far.trim_end().ends_with("</html>"));
        assert!(far.contains("What your browser sent is too long"));
        assert!(far.contains("connection: close\r\n"));
        for name in [
            "content-security-policy",
            "referrer-policy",
            "cache-control",
            "x-content-type-options",
            "x-frame-options",
            "cross-origin-opener-policy",
            "cross-origin-resource-policy",
            "content-type",
        ] {
            let value = near.headers()[name].to_str().unwrap();
            assert!(far.contains(&format!("{name}: {value}\r\n")), "{name}");
        }
    }
    assert!(broker.calls().is_empty());
    assert!(!running.end().await.contains("cccccccc"));
}

#[tokio::test]
async fn found_c1_codes_of_eight_kib_pass_the_hubs_proxy() {
    let (running, broker) = Running::with_broker(&[]).await;
    broker.says(BrowserAnswer::View { flow: short() });
    let run = RunFolder::create("long").unwrap();
    let proxy = HubProxy::start(&run, running.public()).await.unwrap();
    let client = hubkey_fakes::loopback::client().unwrap();
    let through = async |path: String| {
        let url = format!("http://{}{path}", proxy.address());
        let request = client.get(url).header("cookie", COOKIE);
        request.send().await.unwrap().status()
    };
    assert_eq!(
        through(back(&"c".repeat(8192))).await,
        StatusCode::SEE_OTHER
    );
    assert_eq!(broker.call().body["code"], "c".repeat(8192));
    assert_eq!(
        through(back(&"c".repeat(8193))).await,
        StatusCode::SEE_OTHER
    );
    // Of a head of more than 16 KiB the proxy tells us nothing.
    let refused = through(back(&"c".repeat(17_000))).await;
    assert_eq!(refused, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(broker.calls().len(), 2);
}

/// A request of which what the row bounds has this size.
fn of_row(bound: Bound, size: usize) -> Visit {
    let value = "x".repeat(size);
    let path = match bound {
        Bound::Code => back(&value),
        Bound::ResponseIssuer => format!("{}&iss={value}", back("c")),
        Bound::ResponseError => format!("/callback/lab-api?state={STATE}&error={value}"),
        Bound::State => format!("/callback/lab-api?code=c&state=abcdef.{}", &value[7..]),
        Bound::Ticket => format!("/start/{value}"),
        Bound::FlowCookie => {
            let (name, _) = COOKIE.split_once('=').expect("a cookie");
            return Visit::open(&back("c")).with("cookie", &format!("{name}={value}"));
        }
        Bound::FormToken => {
            let form = format!("csrf={value}&decision=accept");
            return Visit::press("/confirm/abcdef", &form).with("cookie", COOKIE);
        }
        Bound::LogoutToken => {
            let visit = Visit::bare(Method::POST, "/backchannel-logout/lab-api");
            let form = visit.with("content-type", "application/x-www-form-urlencoded");
            return form.body(&format!("logout_token={value}"));
        }
        _ => panic!("{} has no probe", bound.name()),
    };
    Visit::open(&path).with("cookie", COOKIE)
}

/// What the broker was told in a row's case, as far as the row speaks of it.
fn told_of_row(bound: Bound, calls: &[Call]) -> Option<Value> {
    let body = &calls.last()?.body;
    Some(match bound {
        Bound::Code | Bound::ResponseIssuer => body.get("too_long").cloned().unwrap_or_default(),
        Bound::ResponseError => body["error"].clone(),
        Bound::FlowCookie => json!(body["flow_cookie"].is_string()),
        Bound::State | Bound::Ticket | Bound::FormToken | Bound::LogoutToken => json!("handed on"),
        _ => panic!("{} has no probe", bound.name()),
    })
}

#[tokio::test]
async fn found_c_each_bound_of_callback_server_holds_at_both_sides() {
    for bound in Bound::of(BoundGroup::CallbackServer) {
        let ask = async |size: usize| {
            let server = Server::own().await;
            if bound == Bound::LogoutToken {
                let done = json!({ "outcome": "done" });
                server.broker.answers(StatusCode::OK, done);
            } else {
                server.broker.says(BrowserAnswer::View { flow: short() });
            }
            let answer = server.visit(of_row(bound, size)).await;
            (answer, told_of_row(bound, &server.broker.calls()))
        };
        let (_, taken) = ask(bound.limit()).await;
        let (answer, beyond) = ask(bound.limit() + 1).await;
        let name = bound.name();
        let (expected, told) = match bound {
            Bound::Code => (Value::Null, Some(json!("code"))),
            Bound::ResponseIssuer => (Value::Null, Some(json!("issuer"))),
            Bound::ResponseError => {
                let error = "x".repeat(bound.limit());
                (json!(error), Some(json!("error_too_long")))
            }
            Bound::FlowCookie => (json!(true), Some(json!(false))),
            Bound::State | Bound::Ticket | Bound::FormToken | Bound::LogoutToken => {
                (json!("handed on"), None)
            }
            _ => panic!("{name} has no probe"),
        };
        assert_eq!(taken, Some(expected), "{name}");
        assert_eq!(beyond, told, "{name}");
        if told.is_none() {
            assert!(answer.status.is_client_error(), "{name}: {}", answer.status);
        }
    }
}
