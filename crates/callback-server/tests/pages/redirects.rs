//! Where an answer can lead.

use http::{Method, StatusCode};
use hubkey_protocol::internal::BrowserAnswer;

use crate::support::{COOKIE, Server, Visit, leave, redirect, short};

/// What has made other redirectors lead elsewhere, and some more.
const ELSEWHERE: &[&str] = &[
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "https://hubkey.example.org@evil.example",
    "https://hubkey.example.org.evil.example",
    "https://evil.example#hubkey.example.org",
    "https://evil.example?hubkey.example.org",
    "https://evil.example\\.hubkey.example.org",
    "https://hubkey.example.org:x@evil.example",
    "http://[::1]",
    "http://0x7f000001",
    "http://2130706433",
    "https://evil%E3%80%82example",
    "https://evil。example",
    "https://ⓔvil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java%0ascript:alert(1)",
    "data:text/html,evil",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://evil.example",
    "blob:https://evil.example/x",
    "/..//evil.example",
    "/.//evil.example",
    "/./\\evil.example",
    "/;@evil.example",
    ".evil.example",
    "@evil.example",
    ":443@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "%2f%2fevil.example",
    "%5c%5cevil.example",
    "%2f%2e%2e%2f%2fevil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/\u{2028}/evil.example",
    "〱evil.example",
    "／／evil.example",
    "/services/hubkey/..//evil.example",
    "<>//evil.example",
    "https://evil.example/%2e%2e",
];

/// What the broker may say by mistake, and no browser may be told.
const NO_WEB_PAGE: &[&str] = &[
    "",
    "/",
    "//evil.example",
    "evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "mailto:x@example.org",
    "https://",
    "https://user:password@login.lab.example/",
    "https://user@login.lab.example/",
    "about:blank",
    "view-source:https://example.org",
    "ws://example.org/",
];

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn security_o11_no_value_of_a_request_becomes_a_location() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    let names = [
        "code",
        "iss",
        "error",
        "next",
        "redirect_uri",
        "return_to",
        "url",
        "continue",
        "rd",
        "RelayState",
        "target",
    ];
    for value in ELSEWHERE {
        let value = encoded(value);
        for name in names {
            let query = format!("state=abcdef.x&{name}={value}");
            for path in [
                "/callback/lab-api",
                "/oauth_callback",
                "/sign-in/abcdef",
                "/start/abcdef.x",
                "/",
            ] {
                leads_nowhere_else(&server, Visit::open(&format!("{path}?{query}"))).await;
            }
        }
        leads_nowhere_else(
            &server,
            Visit::open(&format!("/callback/lab-api?state={value}")),
        )
        .await;
        leads_nowhere_else(&server, Visit::open(&format!("/start/{value}"))).await;
        leads_nowhere_else(&server, Visit::open(&format!("/sign-in/{value}"))).await;
        leads_nowhere_else(
            &server,
            Visit::open(&format!("/callback/{value}?state=abcdef.x")),
        )
        .await;
        leads_nowhere_else(&server, Visit::open(&format!("/{value}"))).await;
        let form = format!("csrf=a&decision=accept&next={value}&redirect_uri={value}");
        leads_nowhere_else(&server, Visit::press("/confirm/abcdef", &form)).await;
    }
}

async fn leads_nowhere_else(server: &Server, visit: Visit) {
    let answer = server.visit(visit.with("cookie", COOKIE)).await;
    for header in ["location", "refresh", "link", "content-location"] {
        let value = answer
            .headers
            .get(header)
            .map(|value| value.to_str().unwrap());
        assert!(
            value.is_none_or(|value| header == "location" && value == "/sign-in/abcdef"),
            "{header}: {value:?}"
        );
    }
    assert!(!answer.body.contains("evil"), "{}", answer.body);
}

#[tokio::test]
async fn security_o11_paths_with_dots_and_slashes_redirect_nowhere() {
    let server = Server::shared().await;
    for path in [
        "//evil.example",
        "/services/hubkey//evil.example",
        "/services/hubkey/..%2f..",
        "/services/hubkey/%2f%2fevil.example/",
    ] {
        let answer = server.visit(Visit::bare(Method::GET, path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.headers.contains_key("location"));
    }
}

#[tokio::test]
async fn security_o11_only_web_pages_are_told_to_a_browser() {
    let server = Server::own().await;
    for location in NO_WEB_PAGE {
        for answer in [redirect(location), leave(location)] {
            server.broker.says(answer);
            let answer = server.open("/sign-in/abcdef").await;
            assert_eq!(
                answer.status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{location}"
            );
            assert!(
                !answer.headers.contains_key("location") && !answer.headers.contains_key("refresh"),
                "{location}"
            );
        }
    }
    server
        .broker
        .says(redirect("https://login.lab.example/a\r\nSet-Cookie: x=y"));
    let answer = server.open("/sign-in/abcdef").await;
    assert_eq!(
        answer.header("location"),
        "https://login.lab.example/aSet-Cookie:%20x=y",
        "one header, as a browser reads it"
    );
    assert!(answer.cookies().is_empty());
    server.broker.says(leave(
        "https://login.lab.example/a?b=\"><script>'; url=https://evil.example",
    ));
    let answer = server.open("/sign-in/abcdef").await;
    let url = "https://login.lab.example/a?b=%22%3E%3Cscript%3E%27;%20url=https://evil.example";
    assert_eq!(answer.header("refresh"), format!("0;url={url}"));
    assert!(answer.body.contains(&format!("href=\"{url}\"")));
}
