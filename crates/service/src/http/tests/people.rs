//! Where the callers are people: pages for browsers, problem documents for programs.

use super::*;

/// What Chromium sends with a navigation.
const BROWSER: &str =
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n";

async fn start_for_people(limits: Limits) -> Running {
    let pages = ErrorPages::new(|failure| {
        let mut response = http::Response::new(format!("<p>{failure}</p>"));
        *response.status_mut() = failure.status();
        response
    });
    start_with(limits, sample(), |server| server.with_error_pages(pages)).await
}

/// What a listener refuses by itself: the request line, more fields, the body, and the status.
fn refused() -> Vec<(&'static str, &'static str, String, u16)> {
    let none = String::new;
    vec![
        ("GET /nowhere", "", none(), 404),
        ("DELETE /hello", "", none(), 405),
        ("GET /panic", "", none(), 500),
        ("GET /slow", "", none(), 503),
        ("GET /hello", "host: y\r\n", none(), 400),
        (
            "GET /hello",
            "forwarded: for=\"\r\nhost: z\r\n",
            none(),
            400,
        ),
        ("POST /length", "", "a".repeat(20_000), 413),
    ]
}

fn request(line: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn found_c3_browsers_get_pages_and_programs_get_problem_documents() {
    let running = start_for_people(Limits {
        handler_timeout: SHORT / 5,
        ..quick()
    })
    .await;
    for (line, fields, body, expected) in refused() {
        let page = request(line, &format!("{BROWSER}{fields}"), &body);
        let page = running.ask(page).await;
        assert_eq!(status(&page), expected, "{line}: {page}");
        let (_, shown) = page.split_once("\r\n\r\n").unwrap();
        assert!(
            shown.starts_with("<p>") && shown.ends_with("</p>"),
            "{page}"
        );
        assert!(!page.contains("application/problem+json"), "{page}");
        for accept in [
            "",
            "accept: */*\r\n",
            "accept: application/json\r\n",
            "accept: text/htm\r\n",
        ] {
            let problem = request(line, &format!("{accept}{fields}"), &body);
            let problem = running.ask(problem).await;
            assert_eq!(status(&problem), expected, "{line}: {problem}");
            problem_code(&problem);
        }
    }
}

#[tokio::test]
async fn found_c3_a_page_keeps_the_headers_of_its_failure() {
    let running = start_for_people(Limits {
        handler_timeout: SHORT / 5,
        ..quick()
    })
    .await;
    let wrong = running.ask(request("DELETE /hello", BROWSER, "")).await;
    assert!(wrong.contains("allow: GET,HEAD\r\n"), "{wrong}");
    let slow = running.ask(request("GET /slow", BROWSER, "")).await;
    assert!(slow.contains("retry-after: 1\r\n"), "{slow}");
    assert!(slow.contains("x-request-id: "), "{slow}");
    let long = request("POST /length", BROWSER, &"a".repeat(20_000));
    assert!(running.ask(long).await.contains("connection: close\r\n"));
}

#[tokio::test]
async fn found_c3_a_full_listener_and_a_slow_head_are_told_by_pages() {
    let running = start_for_people(Limits {
        connections: 1,
        header_timeout: SHORT,
        ..quick()
    })
    .await;
    let mut slow = running.connect().await;
    slow.write_all(b"GET /hello HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let mut refused = running.connect().await;
    let told = read_all(&mut refused).await;
    assert_eq!(status(&told), 503, "{told}");
    assert!(
        told.ends_with("<p>Too many connections are open.</p>"),
        "{told}"
    );
    let told = read_all(&mut slow).await;
    assert_eq!(status(&told), 408, "{told}");
    assert!(told.ends_with("<p>The header took too long.</p>"), "{told}");
}
