//! Values from outside on a page.

use http::StatusCode;
use hubkey_protocol::{
    SignInFailure,
    internal::{BrowserAnswer, ConnectionsPage, EndedConnections, Page, ScopeLabel},
};

use crate::connections::connections_page;
use crate::support::{
    Answer, STATE, Server, confirm_page, done_page, ended_page, leave, short, start_page,
};

const NASTY: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onfocus='alert(1)' autofocus='",
    "</title></style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% include \"/etc/passwd\" %}${7*7}<%= 7*7 %>",
    "\u{202e}gro.elpmaxe\u{2066}\u{200f}\u{61c}",
    "a\r\nSet-Cookie: evil=1\r\n\r\n<html>",
    "\0\u{1b}[31m\u{7f}\u{85}",
    "&lt;b&gt;&#60;i&#62;&amp;",
    "--><!--<![CDATA[",
];

fn pages(value: &str) -> Vec<BrowserAnswer> {
    let mut confirm = confirm_page();
    for field in [
        &mut confirm.provider.display_name,
        &mut confirm.provider_host,
        &mut confirm.account,
        &mut confirm.user,
        &mut confirm.server,
    ] {
        value.clone_into(field);
    }
    confirm.scopes = vec![ScopeLabel {
        scope: value.to_owned(),
        description: Some(value.to_owned()),
    }];
    let mut start = start_page();
    for field in [
        &mut start.provider.display_name,
        &mut start.user,
        &mut start.server,
    ] {
        value.clone_into(field);
    }
    start.scopes.clone_from(&confirm.scopes);
    let connections = connections(value, &start.scopes);
    let mut done = done_page();
    value.clone_into(&mut done.provider.display_name);
    value.clone_into(&mut done.account);
    let mut ended = ended_page(SignInFailure::AccessDenied);
    value.clone_into(&mut ended.provider.display_name);
    let mut leaving = leave("https://login.lab.example/authorize");
    if let BrowserAnswer::RedirectPage { provider, .. } = &mut leaving {
        value.clone_into(provider);
    }
    let page = |page| BrowserAnswer::Page { page };
    vec![
        page(Page::Confirm(confirm)),
        page(Page::Start(start)),
        page(Page::Done(done)),
        page(Page::Ended(ended)),
        page(Page::Connections(connections)),
        leaving,
    ]
}

/// "My connections" with this value in every place.
fn connections(value: &str, scopes: &[ScopeLabel]) -> ConnectionsPage {
    let mut page = connections_page();
    value.clone_into(&mut page.user);
    page.connections.truncate(1);
    for row in &mut page.connections {
        value.clone_into(&mut row.provider.display_name);
        value.clone_into(&mut row.account);
        row.servers = vec![value.to_owned()];
        row.scopes = scopes.to_vec();
    }
    page.just_ended = Some(EndedConnections::One {
        provider: page.connections[0].provider.clone(),
        account: value.to_owned(),
    });
    page
}

/// The elements of a page, but for the places where a line may break: the start of each tag, its attributes cut at quotes.
fn elements(answer: &Answer) -> Vec<String> {
    let mut tags: Vec<_> = answer
        .markup()
        .split('<')
        .skip(1)
        .map(|tag| {
            let name: String = tag
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '!'))
                .collect();
            let attributes = tag
                .split('>')
                .next()
                .unwrap_or_default()
                .matches("=\"")
                .count();
            format!("{name} {attributes}")
        })
        .collect();
    tags.retain(|tag| tag != "wbr 0");
    tags.sort();
    tags
}

#[tokio::test]
async fn security_o10_values_from_outside_never_become_markup() {
    let server = Server::at(crate::support::OWN, |site| {
        NASTY[0].clone_into(&mut site.hub_name);
    })
    .await;
    let mut plain = Vec::new();
    for answer in pages("plain") {
        server.broker.says(answer);
        plain.push(elements(&server.open("/sign-in/abcdef").await));
    }
    for value in NASTY {
        for (answer, expected) in pages(value).into_iter().zip(&plain) {
            server.broker.says(answer);
            let answer = server.open("/sign-in/abcdef").await;
            assert_eq!(answer.status, StatusCode::OK, "{value}");
            assert_eq!(&elements(&answer), expected, "{value}");
            assert!(answer.cookies().is_empty(), "{value}");
            assert!(
                !answer.body.contains("onerror=alert(1)>") && !answer.body.contains("49</bdi>"),
                "{value}"
            );
            let unseen = |c: char| {
                c.is_control() && c != '\n'
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200f}' | '\u{61c}')
            };
            assert!(!answer.body.contains(unseen), "{value}");
        }
    }
}

#[tokio::test]
async fn security_o10_long_values_are_cut() {
    let server = Server::own().await;
    for answer in pages(&"ü".repeat(16_384)) {
        server.broker.says(answer);
        let answer = server.open("/sign-in/abcdef").await;
        assert!(answer.body.len() < 32 * 1024, "{}", answer.body.len());
        assert!(answer.body.contains("ü…"));
        assert!(!answer.body.contains(&"ü".repeat(256)));
    }
}

#[tokio::test]
async fn security_o10_the_text_of_a_provider_is_never_shown() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::Page {
        page: Page::Ended(ended_page(SignInFailure::AccessDenied)),
    });
    for value in [
        "<script>canary</script>",
        "canary%0d%0aSet-Cookie:%20canary=1",
        "%E2%80%AEcanary",
        "{{canary}}",
    ] {
        let value = value
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let path = format!(
            "/callback/lab-api?error=access_denied&error_description={value}&error_uri={value}&state={STATE}"
        );
        let answer = server.open(&path).await;
        assert!(!answer.body.contains("canary"), "{value}");
        assert!(
            !format!("{:?}", answer.headers).contains("canary"),
            "{value}"
        );
    }
    for call in server.broker.calls() {
        assert!(!call.body.to_string().contains("canary"));
    }
    let long = format!(
        "/callback/lab-api?state={STATE}&error=x&error_description={}",
        "a".repeat(60_000)
    );
    assert_eq!(server.open(&long).await.status, StatusCode::OK);
    server.broker.says(BrowserAnswer::View { flow: short() });
}
