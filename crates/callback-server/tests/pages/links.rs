//! Links that lead nowhere any more.

use http::StatusCode;
use hubkey_protocol::internal::Refusal;

use crate::support::{Answer, Server, TICKET, refused};

/// Everything that a browser can see, with the one thing blotted out in which two such answers may differ.
fn seen(answer: &Answer) -> String {
    let body = answer
        .body
        .replace(answer.reference().as_str(), "XXXX-XXXX");
    format!("{} {:?} {body}", answer.status, answer.headers)
}

#[tokio::test]
async fn security_q9_dead_foreign_used_and_invented_links_are_equal_to_the_byte() {
    let server = Server::own().await;
    server.broker.says(refused(Refusal::InvalidLink));
    let expected = server.open(&format!("/start/{TICKET}")).await;
    assert_eq!(expected.status, StatusCode::GONE);
    let long = "x".repeat(1000);
    for path in [
        "/start/a",
        "/start/%ff",
        "/start/%00",
        "/start/..",
        "/start/%3Cscript%3E",
        "/start/abcdef.",
        &format!("/start/{long}"),
        "/start/%F0%9F%94%91",
        "/sign-in/abcdef",
        "/sign-in/ABCDEF",
        "/sign-in/abcde",
        "/sign-in/%ff",
        "/callback/Not-A-Provider?code=c&state=abcdef.x",
        "/callback/%ff?code=c&state=abcdef.x",
        "/callback/lab-api?code=c&state=abcdef.x",
    ] {
        let answer = server.open(path).await;
        assert_eq!(seen(&answer), seen(&expected), "{path}");
    }
    let form = server
        .press("/confirm/ABCDEF", "csrf=a&decision=accept")
        .await;
    assert_eq!(seen(&form), seen(&expected));
}

#[tokio::test]
async fn references_of_our_own_differ() {
    let server = Server::own().await;
    let first = server.open("/sign-in/ABCDEF").await.reference();
    let second = server.open("/sign-in/ABCDEF").await.reference();
    assert_ne!(first, second);
}

#[tokio::test]
async fn security_b1_a_dead_link_names_nobody() {
    let server = Server::own().await;
    server.broker.says(refused(Refusal::InvalidLink));
    let answer = server.open(&format!("/start/{TICKET}")).await;
    for word in ["alice", "mallory", "Lab API", "lab-api"] {
        assert!(!answer.body.contains(word), "{word}");
    }
}
