use super::*;

#[test]
fn the_default_limits_are_the_documented_ones() {
    let limits = Limits::internal();
    assert_eq!(limits.header_timeout, Duration::from_secs(5));
    assert_eq!(limits.idle_timeout, Duration::from_secs(75));
    assert_eq!(limits.body_timeout, Duration::from_secs(5));
    assert_eq!(limits.handler_timeout, Duration::from_secs(30));
    assert_eq!(limits.head_bytes, 16 * 1024);
    assert_eq!(limits.headers, 64);
    assert_eq!(limits.url_bytes, 4 * 1024);
    assert_eq!(limits.body_bytes, 16 * 1024);
    assert_eq!((limits.connections, limits.per_peer), (2048, None));
    assert_eq!(
        (Limits::public().connections, Limits::public().per_peer),
        (2048, Some(64))
    );
    assert_eq!(
        (Limits::kernel().connections, Limits::kernel().per_peer),
        (12_288, None)
    );
}

#[test]
fn limits_can_be_set_and_have_defaults() {
    use crate::settings::Reader;
    let set = [
        ("HUBKEY_PUBLIC_MAX_CONNECTIONS", "10"),
        ("HUBKEY_PUBLIC_MAX_CONNECTIONS_PER_ADDRESS", "2"),
        ("HUBKEY_PUBLIC_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("HUBKEY_PUBLIC_HANDLER_TIMEOUT", "45s"),
    ];
    let env = set
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let reader = Reader::open(None, env);
    let public = read_limits(&reader.section("public"), Limits::public());
    let kernel = read_limits(&reader.section("kernel"), Limits::kernel());
    reader.finish().unwrap();
    assert_eq!((public.connections, public.per_peer), (10, Some(2)));
    assert_eq!(
        (
            public.trusted_proxies.len(),
            public.handler_timeout.as_secs()
        ),
        (2, 45)
    );
    assert_eq!((kernel.connections, kernel.per_peer), (12_288, None));
}

#[tokio::test]
async fn security_q1_slowloris_is_cut_off() {
    let running = start(
        Limits {
            header_timeout: SHORT,
            ..quick()
        },
        sample(),
    )
    .await;
    let mut stream = running.connect().await;
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::new();
    let drip = async {
        let (mut reader, mut writer) = stream.split();
        let slow_head = async {
            writer
                .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nx-slow: ")
                .await
                .unwrap();
            while writer.write_all(b"a").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        tokio::select! {
            _ = reader.read_to_end(&mut answer) => {}
            () = slow_head => {}
        }
    };
    tokio::time::timeout(LONG, drip)
        .await
        .expect("the connection stayed open");
    assert!(
        begun.elapsed() >= SHORT,
        "cut off too early: {:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < SHORT * 10,
        "cut off too late: {:?}",
        begun.elapsed()
    );
    assert_eq!(
        problem_code(&String::from_utf8(answer).unwrap()),
        "request_timeout"
    );
}

#[tokio::test]
async fn security_q1_silent_connection_is_closed() {
    let running = start(
        Limits {
            header_timeout: SHORT,
            ..quick()
        },
        sample(),
    )
    .await;
    assert_eq!(running.ask("").await, "");
}

#[tokio::test]
async fn security_q1_slow_second_head_is_cut_off() {
    let running = start(
        Limits {
            header_timeout: SHORT,
            ..quick()
        },
        sample(),
    )
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "hello").await;
    // Between requests the longer time holds.
    tokio::time::sleep(SHORT * 2).await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    assert_eq!(
        problem_code(&read_all(&mut stream).await),
        "request_timeout"
    );
}

#[tokio::test]
async fn idle_connection_is_closed_in_silence() {
    let running = start(
        Limits {
            idle_timeout: SHORT,
            ..quick()
        },
        sample(),
    )
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "hello").await;
    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn security_q2_slow_body_is_cut_off() {
    let running = start(
        Limits {
            body_timeout: SHORT,
            ..quick()
        },
        sample(),
    )
    .await;
    let begun = tokio::time::Instant::now();
    let answer = running
        .ask("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    assert_eq!(
        (status(&answer), problem_code(&answer).as_str()),
        (408, "request_timeout")
    );
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn security_q2_client_that_reads_nothing_is_cut_off() {
    let large = Router::new().route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]));
    let running = start(
        Limits {
            write_timeout: SHORT,
            ..quick()
        },
        large,
    )
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(SHORT).await;
    // Were the connection still busy, stopping would take the whole grace period.
    let begun = tokio::time::Instant::now();
    running.stop().await;
    assert!(begun.elapsed() < LONG / 2);
}

/// A request of which everything but one thing is small.
fn request(path: &str, fields: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn fields(count: usize) -> String {
    let fields: Vec<_> = (0..count)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    fields.concat()
}

#[tokio::test]
async fn security_q3_what_is_too_large_is_refused() {
    let running = start(quick(), sample()).await;
    let head = format!("x-long: {}\r\n", "a".repeat(17 * 1024));
    let url = format!("/{}", "a".repeat(5 * 1024));
    let body = "a".repeat(17 * 1024);
    let cases = [
        (request("/length", &head, ""), 431, "headers_too_large"),
        // With `host`, `connection` and `content-length` these are 65.
        (
            request("/length", &fields(62), ""),
            431,
            "headers_too_large",
        ),
        (request(&url, "", ""), 414, "uri_too_long"),
        (request("/length", "", &body), 413, "payload_too_large"),
    ];
    for (request, expected, code) in cases {
        let answer = running.ask(request).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (expected, code)
        );
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn security_q3_chunked_body_is_counted() {
    let running = start(quick(), sample()).await;
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
    let head = "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = running.ask(format!("{head}{}", chunk.repeat(5))).await;
    assert_eq!(problem_code(&answer), "payload_too_large");
}

#[tokio::test]
async fn security_q3_what_is_far_too_large_is_cut_off() {
    let running = start(quick(), sample()).await;
    for fields in [
        format!("x-long: {}\r\n", "a".repeat(40 * 1024)),
        fields(500),
    ] {
        assert_eq!(
            status(&running.ask(request("/length", &fields, "")).await),
            431
        );
    }
}

#[tokio::test]
async fn what_is_just_small_enough_is_served() {
    let running = start(quick(), sample()).await;
    let body = "a".repeat(16 * 1024);
    let answer = running.ask(request("/length", &fields(61), &body)).await;
    assert!(
        status(&answer) == 200 && answer.ends_with("16384"),
        "{answer}"
    );
    let path = format!("/{}", "a".repeat(4 * 1024 - 1));
    assert_eq!(status(&running.get(&path).await), 404);
}

#[tokio::test]
async fn security_q6_http2_is_refused() {
    let running = start(quick(), sample()).await;
    hubkey_e2e::rapid_reset::check(running.address)
        .await
        .unwrap();
    assert_eq!(status(&running.get("/hello").await), 200);
}

#[tokio::test]
async fn security_q13_no_second_request_hides_in_the_first() {
    let running = start(quick(), sample()).await;
    for path in ["/length", "/hello", "/nowhere"] {
        hubkey_e2e::smuggling::check(running.address, path)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn request_names_exactly_one_host() {
    let running = start(quick(), sample()).await;
    for host in ["", "host: x\r\nhost: y\r\n"] {
        let answer = running
            .ask(format!("GET /hello HTTP/1.1\r\n{host}\r\n"))
            .await;
        assert_eq!(problem_code(&answer), "bad_request");
    }
}

#[tokio::test]
async fn slow_handler_is_cut_off_and_the_connection_lives() {
    let running = start(
        Limits {
            handler_timeout: SHORT / 5,
            ..quick()
        },
        sample(),
    )
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = read_until(&mut stream, "}").await;
    assert_eq!(
        (status(&answer), problem_code(&answer).as_str()),
        (503, "timeout")
    );
    assert!(answer.contains("retry-after: 1"), "{answer}");
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "hello").await;
}
