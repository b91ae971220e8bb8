//! Headers by which a client would like to say who and where it is.

use hubkey_protocol::{
    internal::{BrowserReply, Page, SetFlowCookie},
    secret::FlowCookie,
};

use crate::support::{COOKIE, Server, TICKET, Visit, confirm_page, redirect, short};

const FORGED: [(&str, &str); 14] = [
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-port", "81"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-real-ip", "203.0.113.9"),
    ("forwarded", "for=203.0.113.9;host=evil.example;proto=http"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
    ("x_forwarded_host", "evil.example"),
    ("x-forwarded-server", "evil.example"),
    ("x-forwarded-user", "mallory"),
    ("x-forwarded-uri", "/evil"),
];

#[tokio::test]
async fn security_q11_forged_headers_change_nothing() {
    for header in FORGED {
        let server = Server::own().await;
        let redirecting = BrowserReply {
            answer: redirect("https://hub.example.org/hub/api/oauth2/authorize"),
            set_cookie: Some(SetFlowCookie {
                flow: short(),
                value: FlowCookie::new("v"),
                max_age: 600,
            }),
            clear_cookie: None,
        };
        server.broker.replies(&redirecting);
        let plain = server.open(&format!("/start/{TICKET}")).await;
        let forged = server
            .visit(Visit::open(&format!("/start/{TICKET}")).with(header.0, header.1))
            .await;
        assert_eq!(format!("{plain:?}"), format!("{forged:?}"), "{header:?}");
        server.broker.shows(Page::Confirm(confirm_page()));
        let plain = server
            .visit(Visit::open("/sign-in/abcdef").with("cookie", COOKIE))
            .await;
        let forged = server
            .visit(
                Visit::open("/sign-in/abcdef")
                    .with("cookie", COOKIE)
                    .with(header.0, header.1),
            )
            .await;
        assert_eq!(format!("{plain:?}"), format!("{forged:?}"), "{header:?}");
        assert!(!forged.body.contains("evil"));
        let calls = server.broker.calls();
        assert_eq!(calls[0].body, calls[1].body, "{header:?}");
        assert_eq!(calls[2].body, calls[3].body, "{header:?}");
    }
}

#[tokio::test]
async fn security_q11_a_forged_host_does_not_make_a_foreign_form_ours() {
    let server = Server::own().await;
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
    ] {
        let visit = Visit::bare(http::Method::POST, "/confirm/abcdef")
            .with("origin", "https://evil.example")
            .with("content-type", "application/x-www-form-urlencoded")
            .with(name, value)
            .body("csrf=a&decision=accept");
        assert_eq!(
            server.visit(visit).await.status,
            http::StatusCode::FORBIDDEN,
            "{name}"
        );
    }
    assert!(server.broker.calls().is_empty());
}
