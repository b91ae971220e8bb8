//! The page "My connections": its words, and what its routes hand on.

use http::{Method, StatusCode};
use hubkey_protocol::{
    ConnectionId, ProviderId,
    internal::{
        BrowserAnswer, ConnectionRow, ConnectionsPage, EndedConnections, Page, ProviderLabel,
        Refusal, ScopeLabel,
    },
    secret::CsrfToken,
};
use serde_json::json;

use crate::{
    pages::{shown, text},
    support::{COOKIE, NOW, STATE, Server, Visit, provider, redirect, refused, scopes, short},
};

fn ago(seconds: i64) -> u64 {
    u64::try_from(NOW.unix_timestamp() - seconds).unwrap()
}

pub(crate) const CONNECTION: &str = "abcdef.AAAAAAAAAAAAAAAAAAAAAA";

/// The page with two connections.
pub(crate) fn connections_page() -> ConnectionsPage {
    let lab = ConnectionRow {
        id: ConnectionId::parse(CONNECTION).unwrap(),
        provider: provider(),
        account: "alice.liddell@lab.example".to_owned(),
        servers: vec!["gpu".to_owned(), String::new()],
        scopes: scopes(),
        since: ago(3 * 3600),
        last_used: ago(125),
    };
    let forge = ConnectionRow {
        id: ConnectionId::parse("ghijkl.BBBBBBBBBBBBBBBBBBBBBB").unwrap(),
        provider: ProviderLabel {
            id: ProviderId::parse("forge").unwrap(),
            display_name: "Code forge".to_owned(),
        },
        account: "aliddell".to_owned(),
        servers: vec![String::new()],
        scopes: vec![ScopeLabel {
            scope: "repo".to_owned(),
            description: Some("Read and write repositories".to_owned()),
        }],
        since: ago(3 * 86400),
        last_used: ago(26 * 3600),
    };
    ConnectionsPage {
        flow: short(),
        csrf: CsrfToken::new("form-token"),
        user: "alice".to_owned(),
        connections: vec![lab, forge],
        just_ended: None,
    }
}

/// The page after the person ended all.
pub(crate) fn no_connections_page() -> ConnectionsPage {
    ConnectionsPage {
        connections: Vec::new(),
        just_ended: Some(EndedConnections::All { count: 2 }),
        ..connections_page()
    }
}

#[tokio::test]
async fn feature_g11_connections_say_what_notebooks_reach_and_end_it() {
    let answer = shown(Page::Connections(connections_page())).await;
    insta::assert_snapshot!(text(&answer), @"
    hub.example.org
    My connections
    What the notebooks of alice can reach with an account of yours.
    2 connections
    Service
    Account
    Server
    May
    Since
    Last used
    End
    Lab API
    alice.liddell@lab.example
    gpu, default
    Read your projects
    Know your e-mail address
    samples.export
    3 hours ago
    2 minutes ago
    End Lab API as alice.liddell@lab.example
    Code forge
    aliddell
    default
    Read and write repositories
    3 days ago
    yesterday
    End Code forge as aliddell
    End all
    Ending a connection ends it at the service too. Your hub login stays.
    ");
    let csrf = r#"<input type="hidden" name="csrf" value="form-token">"#;
    assert_eq!(answer.body.matches(csrf).count(), 3, "each, and all");
    let form = r#"<form method="post" action="/connections/abcdef/end">"#;
    assert_eq!(answer.body.matches(form).count(), 2);
    assert!(
        answer
            .body
            .contains(&format!(r#"name="connection" value="{CONNECTION}""#))
    );
    assert!(
        answer
            .body
            .contains(r#"title="2026-11-24 20:30 UTC">2 minutes ago"#)
    );
}

#[tokio::test]
async fn connections_say_what_was_ended_and_when_there_are_none() {
    let mut one = connections_page();
    one.connections.truncate(1);
    let provider = one.connections[0].provider.clone();
    let account = "old@lab.example".to_owned();
    one.just_ended = Some(EndedConnections::One { provider, account });
    let answer = shown(Page::Connections(one)).await;
    assert!(!answer.body.contains("End all"), "one has a button already");
    assert!(text(&answer).contains("Ended: Lab API as old@lab.example."));
    let answer = shown(Page::Connections(no_connections_page())).await;
    insta::assert_snapshot!(text(&answer), @"
    hub.example.org
    My connections
    2 connections were ended. Notebooks cannot use them any more.
    The notebooks of alice can reach nothing with an account of yours.
    When one of them asks for an account and you sign in, it appears here.
    Ending a connection ends it at the service too. Your hub login stays.
    ");
}

#[tokio::test]
async fn connections_leads_to_the_hub_and_back_to_the_page() {
    let server = Server::own().await;
    server
        .broker
        .says(redirect("https://hub.example.org/authorize?state=abcdef.x"));
    let answer = server.open("/connections").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/connections");
    assert_eq!(call.body, json!({"source": null}));

    let server = Server::shared().await;
    server
        .broker
        .says(BrowserAnswer::Connections { flow: short() });
    let back = format!("/services/hubkey/oauth_callback?code=c&state={STATE}");
    let answer = server.open(&back).await;
    let page = "/services/hubkey/connections/abcdef";
    assert_eq!(answer.header("location"), page);
    server.broker.shows(Page::Connections(connections_page()));
    let answer = server.open(page).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .body
            .contains(r#"action="/services/hubkey/connections/abcdef/end""#)
    );
    // Who comes late, or to an address that is none, is led to the Hub again.
    server.broker.says(refused(Refusal::InvalidLink));
    for late in [page, "/services/hubkey/connections/ABC"] {
        let answer = server.open(late).await;
        assert_eq!(answer.header("location"), "/services/hubkey/connections");
    }
    server.broker.says(refused(Refusal::Forbidden));
    assert_eq!(server.open(page).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn security_o6_the_end_of_a_connection_is_a_form_of_our_own_page() {
    let path = "/connections/abcdef/end";
    let server = Server::own().await;
    server
        .broker
        .says(BrowserAnswer::Connections { flow: short() });
    let form = format!("csrf=form-token&connection={CONNECTION}");
    let visit = Visit::press(path, &form).with("cookie", COOKIE);
    let answer = server.visit(visit).await;
    assert_eq!(answer.header("location"), "/connections/abcdef");
    let call = server.broker.call();
    assert_eq!(call.path, "/internal/v1/end-connections");
    let mut expected = json!({
        "flow": "abcdef", "flow_cookie": "flow-cookie", "csrf": "form-token",
        "connection": CONNECTION, "source": null,
    });
    assert_eq!(call.body, expected);
    server.press(path, "connection=all").await;
    expected["connection"] = json!(null);
    expected["csrf"] = json!("");
    expected["flow_cookie"] = json!(null);
    assert_eq!(server.broker.calls()[1].body, expected);

    for (visit, status) in [
        (Visit::press(path, "csrf=a"), StatusCode::BAD_REQUEST),
        (
            Visit::press(path, "csrf=a&connection=x"),
            StatusCode::BAD_REQUEST,
        ),
        (
            Visit::press(path, &form).begun_at("cross-site"),
            StatusCode::FORBIDDEN,
        ),
        (Visit::open(path), StatusCode::METHOD_NOT_ALLOWED),
        (
            Visit::bare(Method::HEAD, "/connections"),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        assert_eq!(server.visit(visit).await.status, status);
    }
    assert_eq!(server.broker.calls().len(), 2, "nothing else went on");
}
