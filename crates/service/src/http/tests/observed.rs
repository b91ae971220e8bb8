use hubkey_protocol::ErrorCode;

use super::*;
use crate::telemetry::recorded;

fn failing() -> Router {
    sample().route(
        "/fails/{id}",
        get(async || -> Result<(), Failure> {
            let cause = std::io::Error::other("the disk is full");
            Err(Failure::new(ErrorCode::StoreUnavailable, "No store.", "Wait.").because(cause))
        }),
    )
}

#[tokio::test]
async fn security_l1_log_line_has_the_route_and_not_the_address() {
    let log = recorded();
    let running = start(quick(), failing()).await;
    let request = "GET /fails/canary-path?code=canary-query HTTP/1.1\r\nhost: canary-host\r\nconnection: close\r\n\
        x-request-id: request-0001\r\nauthorization: Bearer canary-token\r\ncookie: canary=cookie\r\n\r\n";
    let answer = running.ask(request).await;
    assert!(
        answer.contains("x-request-id: request-0001\r\n"),
        "{answer}"
    );
    running.stop().await;
    let text = log.text();
    assert!(!text.contains("canary"), "{text}");
    let line = log
        .lines()
        .into_iter()
        .find(|line| line["message"] == "request failed")
        .unwrap();
    let expected = serde_json::json!({
        "level": "WARN", "target": "hubkey_service::http::request_pipeline", "message": "request failed",
        "listener": "test", "method": "GET", "route": "/fails/{id}", "status": 503,
        "code": "store_unavailable", "cause": "the disk is full", "request_id": "request-0001",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{line}");
    }
    assert!(
        line["latency_ms"].is_u64() && line["timestamp"].as_str().unwrap().ends_with('Z'),
        "{line}"
    );
}

#[tokio::test]
async fn security_l1_panic_is_logged_without_its_payload() {
    let log = recorded();
    let running = start(quick(), sample()).await;
    running.get("/panic").await;
    running.stop().await;
    let text = log.text();
    assert!(
        text.contains(r#""route":"/panic""#) && !text.contains("canary"),
        "{text}"
    );
}

#[tokio::test]
async fn odd_request_ids_are_replaced() {
    let running = start(quick(), sample()).await;
    for id in [
        "short",
        "has space in it",
        &"a".repeat(65),
        "semi;colon-semi;colon",
    ] {
        let request = format!(
            "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: {id}\r\n\r\n"
        );
        let answer = running.ask(request).await;
        let line = answer
            .lines()
            .find(|line| line.starts_with("x-request-id: "))
            .unwrap();
        assert!(
            !line.contains(id) && line.len() == "x-request-id: ".len() + 16,
            "{line}"
        );
    }
}

fn series(metrics: &Metrics) -> usize {
    metrics
        .render()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .count()
}

#[tokio::test]
async fn security_l5_invented_paths_and_methods_make_no_series() {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let running = start(quick(), sample()).await;
    let mut stream = running.connect().await;
    let send = async |stream: &mut TcpStream, number: usize| {
        let method = KNOWN
            .get(number % 10)
            .map_or_else(|| format!("M{number}"), ToString::to_string);
        let path = if number.is_multiple_of(2) {
            "things/x"
        } else {
            ""
        };
        let request = format!(
            "{method} /{path}{number}/{} HTTP/1.1\r\nhost: h{number}\r\n\r\n",
            number * 7
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let end = if method == "HEAD" { "\r\n\r\n" } else { "}" };
        assert_eq!(status(&read_until(stream, end).await), 404);
    };
    for number in 0..10 {
        send(&mut stream, number).await;
    }
    let before = series(&running.metrics);
    for number in 10..10_010 {
        send(&mut stream, number).await;
    }
    assert_eq!(series(&running.metrics), before);
    assert!(
        running.metrics.render().contains("_count"),
        "nothing was measured"
    );
}
