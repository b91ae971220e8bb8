//! Flow cookies as the browser sees them.

use http::StatusCode;
use hubkey_protocol::{
    ShortId,
    internal::{BrowserAnswer, BrowserReply, SetFlowCookie},
    secret::FlowCookie,
};

use crate::support::{STATE, Server, TICKET, Visit, redirect, short};

fn reply(flow: &str) -> BrowserReply {
    BrowserReply {
        answer: redirect("https://hub.example.org/hub/api/oauth2/authorize"),
        set_cookie: Some(SetFlowCookie {
            flow: ShortId::parse(flow).unwrap(),
            value: FlowCookie::new("value"),
            max_age: 600,
        }),
        clear_cookie: None,
    }
}

#[tokio::test]
async fn a_flow_cookie_is_bound_to_our_host_or_to_our_path() {
    let own = Server::own().await;
    own.broker.replies(&reply("abcdef"));
    let answer = own.open(&format!("/start/{TICKET}")).await;
    assert_eq!(
        answer.cookies(),
        ["__Host-Http-hk-abcdef=value; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"]
    );
    let shared = Server::shared().await;
    shared.broker.replies(&reply("abcdef"));
    let answer = shared
        .open(&format!("/services/hubkey/start/{TICKET}"))
        .await;
    assert_eq!(
        answer.cookies(),
        [
            "__Http-hk-abcdef=value; Path=/services/hubkey/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"
        ]
    );
}

#[tokio::test]
async fn a_flow_cookie_is_cleared_with_the_same_attributes() {
    let server = Server::own().await;
    let view = BrowserAnswer::View { flow: short() };
    server.broker.replies(&BrowserReply {
        answer: view,
        set_cookie: None,
        clear_cookie: Some(short()),
    });
    let answer = server.open(&format!("/oauth_callback?state={STATE}")).await;
    assert_eq!(
        answer.cookies(),
        ["__Host-Http-hk-abcdef=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"]
    );
}

#[tokio::test]
async fn a_browser_keeps_no_more_than_eight_flows() {
    let server = Server::own().await;
    server.broker.replies(&reply("zzzzzz"));
    let live: Vec<_> = ('a'..='i')
        .map(|c| format!("__Host-Http-hk-{}=v", c.to_string().repeat(6)))
        .collect();
    let visit = Visit::open(&format!("/start/{TICKET}")).with("cookie", &live.join("; "));
    let answer = server.visit(visit).await;
    let names: Vec<_> = answer
        .cookies()
        .iter()
        .map(|line| line.split_once(';').unwrap().0.to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "__Host-Http-hk-aaaaaa=",
            "__Host-Http-hk-bbbbbb=",
            "__Host-Http-hk-zzzzzz=value"
        ]
    );
}

#[tokio::test]
async fn security_b5_two_cookies_of_one_name_are_refused() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    for path in [
        format!("/oauth_callback?code=c&state={STATE}"),
        format!("/callback/lab-api?code=c&state={STATE}"),
        "/sign-in/abcdef".to_owned(),
    ] {
        let twice = Visit::open(&path).with(
            "cookie",
            "__Host-Http-hk-abcdef=a; x=y; __Host-Http-hk-abcdef=b",
        );
        assert_eq!(
            server.visit(twice).await.status,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
        let lines = Visit::open(&path)
            .and("cookie", "__Host-Http-hk-abcdef=a")
            .and("cookie", "__Host-Http-hk-abcdef=a");
        assert_eq!(
            server.visit(lines).await.status,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    let form = Visit::press("/confirm/abcdef", "csrf=a&decision=accept")
        .with("cookie", "__Host-Http-hk-abcdef=a; __Host-Http-hk-abcdef=b");
    assert_eq!(server.visit(form).await.status, StatusCode::BAD_REQUEST);
    assert!(server.broker.calls().is_empty());
}

#[tokio::test]
async fn security_b5_cookies_without_the_prefix_are_ignored() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    let foreign = "hk-abcdef=1; __Http-hk-abcdef=2; __Host-hk-abcdef=3; __host-http-hk-abcdef=4; __Host-Http-hk-ghijkl=5";
    server
        .visit(Visit::open("/sign-in/abcdef").with("cookie", foreign))
        .await;
    assert_eq!(
        server.broker.call().body["flow_cookie"],
        serde_json::Value::Null
    );
}

#[tokio::test]
async fn a_state_that_names_no_cookie_goes_on_without_one() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    for state in ["x", "ABCDEF.x", "abcdef", ".x", "abc%00ef.x"] {
        let visit = Visit::open(&format!("/callback/lab-api?code=c&state={state}"));
        server
            .visit(visit.with("cookie", "__Host-Http-hk-abcdef=a"))
            .await;
    }
    for call in server.broker.calls() {
        assert_eq!(
            call.body["flow_cookie"],
            serde_json::Value::Null,
            "{call:?}"
        );
    }
    assert_eq!(server.broker.calls().len(), 5);
}
