//! The headers of every answer.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use hubkey_protocol::internal::{BrowserAnswer, BrowserReply, Page, SetFlowCookie};
use hubkey_protocol::secret::FlowCookie;

use crate::support::{
    Answer, COOKIE, STATE, Server, TICKET, Visit, confirm_page, done_page, every_answer, short,
};

fn has_all(what: &str, answer: &Answer) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "noopener-allow-popups"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{what}");
    }
    let is_page = !answer.body.is_empty();
    assert_eq!(
        answer.header("referrer-policy"),
        if is_page {
            "same-origin"
        } else {
            "no-referrer"
        },
        "{what}"
    );
    for absent in [
        "strict-transport-security",
        "permissions-policy",
        "access-control-allow-origin",
        "server",
    ] {
        assert!(!answer.headers.contains_key(absent), "{what}: {absent}");
    }
    has_policy(what, answer);
}

fn has_policy(what: &str, answer: &Answer) {
    let is_page = !answer.body.is_empty();
    let policy = answer.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(
            policy.split("; ").any(|part| part == rule),
            "{what}: {policy}"
        );
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{what}: {policy}"
    );
    if is_page {
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{what}"
        );
        let style = between(&answer.body, "<style>", "</style>");
        assert!(
            policy.contains(&format!("style-src {};", source(style))),
            "{what}: {policy}"
        );
        assert!(
            !answer.body.contains(" style="),
            "{what}: no hash covers a style attribute"
        );
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    text.split_once(start)
        .and_then(|(_, rest)| rest.split_once(end))
        .map(|(inside, _)| inside)
        .unwrap()
}

fn source(text: &str) -> String {
    format!(
        "'sha256-{}'",
        STANDARD.encode(digest(&SHA256, text.as_bytes()).as_ref())
    )
}

#[tokio::test]
async fn security_o8_headers_are_on_every_answer() {
    for accent in [None, Some("#f37726".to_owned())] {
        let server = Server::at("https://hubkey.example.org", |site| {
            site.accent_color = accent;
        })
        .await;
        let ways = [
            Visit::open(&format!("/start/{TICKET}")),
            Visit::open(&format!("/oauth_callback?code=c&state={STATE}")),
            Visit::open(&format!("/callback/lab-api?code=c&state={STATE}")),
            Visit::open("/sign-in/abcdef"),
            Visit::press("/continue/abcdef", "csrf=a&decision=accept"),
            Visit::press("/confirm/abcdef", "csrf=a&decision=accept"),
            Visit::open("/connections"),
            Visit::open("/connections/abcdef"),
            Visit::press("/connections/abcdef/end", "csrf=a&connection=all"),
        ];
        for (way, visit) in ways.into_iter().enumerate() {
            // Each answer in turn for the first route, one for the others.
            let answers = every_answer();
            let answers = if way == 0 {
                answers
            } else {
                answers.into_iter().skip(4).take(1).collect()
            };
            let mut visit = Some(visit);
            for (what, answer) in answers {
                server.broker.says(answer);
                let visit = visit
                    .take()
                    .unwrap_or_else(|| Visit::open(&format!("/start/{TICKET}")));
                has_all(&what, &server.visit(visit.with("cookie", COOKIE)).await);
            }
        }
    }
}

#[tokio::test]
async fn security_o8_headers_are_on_what_never_reaches_a_handler() {
    let server = Server::own().await;
    for (what, visit, status) in [
        ("home", Visit::open("/"), 200),
        ("no page", Visit::open("/nowhere"), 404),
        ("no method", Visit::bare(Method::DELETE, "/"), 405),
        ("no post", Visit::press("/", ""), 405),
        ("no get", Visit::open("/confirm/abcdef"), 405),
        (
            "fetch metadata",
            Visit::open("/").with("sec-fetch-dest", "iframe"),
            403,
        ),
        ("malformed", Visit::open("/oauth_callback"), 400),
        ("no text", Visit::open("/start/%ff"), 410),
        (
            "unusable answer",
            Visit::open(&format!("/start/{TICKET}")),
            503,
        ),
    ] {
        let answer = server.visit(visit).await;
        assert_eq!(answer.status.as_u16(), status, "{what}");
        has_all(what, &answer);
    }
    let reply = BrowserReply {
        answer: BrowserAnswer::View { flow: short() },
        set_cookie: Some(SetFlowCookie {
            flow: short(),
            value: FlowCookie::new("a\nb"),
            max_age: 600,
        }),
        clear_cookie: None,
    };
    server.broker.replies(&reply);
    let answer = server.open(&format!("/start/{TICKET}")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    has_all("broken", &answer);
}

#[tokio::test]
async fn only_the_page_at_the_end_has_a_script_and_the_policy_names_it() {
    let server = Server::own().await;
    server.broker.shows(Page::Done(done_page()));
    let done = server.open("/sign-in/abcdef").await;
    let script = between(&done.body, "<script>", "</script>");
    assert!(script.contains("window.close()"));
    assert!(
        done.header("content-security-policy")
            .contains(&format!("script-src {};", source(script)))
    );
    for (what, answer) in every_answer()
        .into_iter()
        .filter(|(what, _)| what != "done")
    {
        server.broker.says(answer);
        let answer = server.open("/sign-in/abcdef").await;
        assert!(!answer.body.contains("<script"), "{what}");
        assert!(
            !answer
                .header("content-security-policy")
                .contains("script-src"),
            "{what}"
        );
    }
}

#[tokio::test]
async fn security_o12_no_page_is_shown_at_an_address_with_a_code() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    for path in ["/oauth_callback", "/callback/lab-api"] {
        let answer = server
            .open(&format!("{path}?code=canary&state={STATE}"))
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.header("location"), "/sign-in/abcdef");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.body.is_empty());
    }
    server.broker.shows(Page::Confirm(confirm_page()));
    let page = server.open("/sign-in/abcdef").await;
    assert!(!page.body.contains("canary") && !page.body.contains(STATE));
}
