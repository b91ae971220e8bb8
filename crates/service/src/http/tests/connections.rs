use super::*;

#[tokio::test]
async fn connection_over_the_cap_is_told_so() {
    let running = start(
        Limits {
            connections: 1,
            ..quick()
        },
        sample(),
    )
    .await;
    let mut first = running.connect().await;
    first
        .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut first, "hello").await;
    let answer = running.ask("").await;
    assert_eq!(
        (status(&answer), problem_code(&answer).as_str()),
        (503, "overloaded")
    );
    let refused = r#"hubkey_http_server_rejected_connections_total{listener="test",reason="max_connections"} 1"#;
    assert!(
        running.metrics.render().contains(refused),
        "{}",
        running.metrics.render()
    );
}

/// Asks one thing on a connection that stays open.
async fn asked(running: &Running) -> TcpStream {
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "hello").await;
    stream
}

#[tokio::test]
async fn security_q4_what_is_idle_longest_makes_room_and_what_is_busy_stays() {
    let running = start(
        Limits {
            connections: 32,
            ..quick()
        },
        sample(),
    )
    .await;
    let mut silent = running.connect().await;
    let mut idle = asked(&running).await;
    let mut begun = asked(&running).await;
    begun.write_all(b"GET /hello HT").await.unwrap();
    let mut others = Vec::new();
    for _ in 0..100 {
        others.push(asked(&running).await);
    }
    assert_eq!(read_all(&mut silent).await, "");
    assert_eq!(read_all(&mut idle).await, "");
    begun.write_all(b"TP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut begun, "hello").await;
    assert_eq!(status(&running.get("/hello").await), 200);
    let refused = r#"reason="max_connections""#;
    assert!(!running.metrics.render().contains(refused));
}

#[tokio::test]
async fn place_of_a_closed_connection_is_given_to_the_next() {
    let running = start(
        Limits {
            connections: 1,
            ..quick()
        },
        sample(),
    )
    .await;
    for _ in 0..20 {
        let mut answer = running.get("/hello").await;
        let begun = tokio::time::Instant::now();
        // The place is given back a moment after the client sees the end of the connection.
        while status(&answer) != 200 && begun.elapsed() < LONG {
            tokio::time::sleep(Duration::from_millis(5)).await;
            answer = running.get("/hello").await;
        }
        assert_eq!(status(&answer), 200);
    }
}

#[tokio::test]
async fn loopback_is_not_capped_per_address() {
    let running = start(
        Limits {
            per_address: Some(1),
            ..quick()
        },
        sample(),
    )
    .await;
    let _first = running.connect().await;
    let _second = running.connect().await;
    assert_eq!(status(&running.get("/hello").await), 200);
}

#[tokio::test]
async fn request_in_flight_finishes_and_nothing_new_is_accepted() {
    let running = start(quick(), sample()).await;
    let mut busy = running.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut idle = running.connect().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut idle, "hello").await;
    running.shutdown.cancel();
    assert_eq!(read_all(&mut idle).await, "");
    assert!(TcpStream::connect(running.address).await.is_err());
    assert_eq!(status(&read_all(&mut busy).await), 200);
    running.stop().await;
}

#[tokio::test]
async fn request_that_outlasts_the_grace_period_is_dropped() {
    let forever = Router::new().route("/forever", get(std::future::pending::<()>));
    let running = start(
        Limits {
            shutdown_grace_period: SHORT,
            ..quick()
        },
        forever,
    )
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /forever HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(SHORT).await;
    running.stop().await;
    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn panic_becomes_a_problem_without_its_payload() {
    let running = start(quick(), sample()).await;
    let answer = running.get("/panic").await;
    assert_eq!(
        (status(&answer), problem_code(&answer).as_str()),
        (500, "internal")
    );
    assert!(!answer.contains("canary"), "{answer}");
    assert_eq!(status(&running.get("/hello").await), 200);
}
