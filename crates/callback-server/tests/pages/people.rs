//! What the program says to browsers and to programs where no handler is reached, and what it makes of cookies of others.

use hubkey_protocol::internal::BrowserAnswer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    process::Running,
    support::{COOKIE, short},
};

/// What Chromium sends with a navigation.
const BROWSER: &str = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

/// Sends bytes and reads the answer to its end.
async fn raw(running: &Running, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.public()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn found_c3_what_the_listener_refuses_is_a_page_for_people() {
    let (running, broker) = Running::with_broker(&[]).await;
    let near = running.get("/nowhere").send().await.unwrap();
    let body = "a".repeat(70_000);
    for (head, body, status, title) in [
        (
            "GET /sign-in/abcdef HTTP/1.1\r\nhost: x\r\nhost: y\r\n",
            "",
            "400",
            "What arrived here could not be read",
        ),
        (
            "POST /sign-in/abcdef/decision HTTP/1.1\r\nhost: x\r\n",
            body.as_str(),
            "413",
            "What your browser sent is too long",
        ),
    ] {
        let length = body.len();
        let request = |accept: &str| {
            format!("{head}connection: close\r\n{accept}content-length: {length}\r\n\r\n{body}")
        };
        let page = raw(&running, request(BROWSER).as_bytes()).await;
        assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{page}");
        assert!(
            page.contains(title) && page.trim_end().ends_with("</html>"),
            "{page}"
        );
        for name in [
            "content-security-policy",
            "referrer-policy",
            "x-frame-options",
            "cache-control",
        ] {
            let value = near.headers()[name].to_str().unwrap();
            assert!(page.contains(&format!("{name}: {value}\r\n")), "{name}");
        }
        let problem = raw(&running, request("").as_bytes()).await;
        assert!(problem.contains("application/problem+json"), "{problem}");
    }
    assert!(broker.calls().is_empty());
    running.end().await;
}

#[tokio::test]
async fn found_c4_a_cookie_of_somebody_else_hinders_no_step() {
    let (running, broker) = Running::with_broker(&[]).await;
    broker.says(BrowserAnswer::View { flow: short() });
    let foreign: [&[u8]; 3] = [b"name=caf\xe9; ", b"name=caf\xc3\xa9; ", b"\xff=\x80; "];
    for foreign in foreign {
        let head = format!(
            "GET /sign-in/abcdef HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{BROWSER}cookie: "
        );
        let request = [head.as_bytes(), foreign, COOKIE.as_bytes(), b"\r\n\r\n"].concat();
        let answer = raw(&running, &request).await;
        assert!(!answer.starts_with("HTTP/1.1 403 "), "{answer}");
        let call = broker.calls().pop().expect("the broker was asked");
        assert_eq!(call.body["flow_cookie"], "flow-cookie");
    }
    assert_eq!(broker.calls().len(), 3);
    running.end().await;
}
