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
    assert_eq!((limits.connections, limits.per_address), (2048, None));
    let public = Limits::public();
    assert_eq!(
        (public.head_bytes, public.url_bytes),
        (24 * 1024, 12 * 1024)
    );
    assert_eq!(
        (public.read_bytes, public.body_bytes),
        (64 * 1024, 16 * 1024)
    );
    assert_eq!(
        (Limits::public().connections, Limits::public().per_address),
        (2048, Some(64))
    );
    assert_eq!(
        (Limits::kernel().connections, Limits::kernel().per_address),
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
    assert_eq!((public.connections, public.per_address), (10, Some(2)));
    assert_eq!(
        (
            public.trusted_proxies.len(),
            public.handler_timeout.as_secs()
        ),
        (2, 45)
    );
    assert_eq!((kernel.connections, kernel.per_address), (12_288, None));
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
pub(super) fn request(path: &str, fields: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn fields(count: usize) -> String {
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

/// A listener for people: the router says what it was told of the head.
pub(super) async fn start_for_people() -> Running {
    let router = Router::new().fallback(tell_of_head);
    let pages = ErrorPages::new(|failure| {
        let mut response = http::Response::new(format!("<p>{failure}</p>"));
        *response.status_mut() = failure.status();
        response
    });
    let limits = Limits {
        shutdown_grace_period: LONG,
        ..Limits::public()
    };
    start_with(limits, router, |server| server.with_error_pages(pages)).await
}

async fn tell_of_head(request: axum::extract::Request) -> String {
    let oversized = request.extensions().get::<OversizedHead>();
    let query = request.uri().query().unwrap_or_default();
    let told = format!("{oversized:?} {}", query.len());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    format!("{told} {}", body.unwrap().len())
}

#[tokio::test]
async fn found_c1_people_are_told_of_a_head_that_is_too_large() {
    let running = start_for_people().await;
    let of = async |query: usize, cookies: usize, body: &str| {
        let path = format!("/length?{}", "a".repeat(query));
        let fields = format!("cookie: {}\r\n", "b".repeat(cookies));
        running.ask(request(&path, &fields, body)).await
    };
    for (query, cookies, told) in [
        (12 * 1024 - 8, 0, "None 12280 4"),
        (8 * 1024, 14 * 1024, "None 8192 4"),
        (12 * 1024 - 7, 0, "Some(Address) 12281 0"),
        (60_000, 0, "Some(Address) 60000 0"),
        (100, 24 * 1024, "Some(Header) 100 0"),
        (12 * 1024 - 8, 12 * 1024, "Some(Header) 12280 0"),
        (20_000, 40_000, "Some(Address) 20000 0"),
    ] {
        let answer = of(query, cookies, "body").await;
        assert_eq!(status(&answer), 200);
        assert!(answer.ends_with(&format!("\r\n\r\n{told}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn found_c1_people_are_told_of_a_head_that_is_not_read_to_its_end() {
    let running = start_for_people().await;
    for (query, cookies) in [
        (65 * 1024, 0),
        (100_000, 0),
        (10, 70_000),
        (1_000_000, 0),
        (30_000, 1_000_000),
    ] {
        let path = format!("/length?{}", "a".repeat(query));
        let fields = format!("cookie: {}\r\n", "b".repeat(cookies));
        let begun = tokio::time::Instant::now();
        let mut stream = running.connect().await;
        // The page may come before all is sent.
        let _ = stream
            .write_all(request(&path, &fields, "body").as_bytes())
            .await;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer[..read].to_vec()).unwrap();
        assert_eq!(status(&answer), 414, "{answer}");
        assert!(
            answer.ends_with("<p>The address is too long.</p>"),
            "{answer}"
        );
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(status(&running.get("/length").await), 200);
}

#[tokio::test]
async fn found_c1_long_heads_take_a_bounded_part_of_the_memory() {
    let running = start_for_people().await;
    let begun = format!("GET /length?{} HTTP/1.1\r\nhost: x\r\n", "a".repeat(30_000));
    let mut holding = Vec::new();
    for _ in 0..64 {
        let mut stream = running.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        holding.push(stream);
    }
    let long = request(&format!("/length?{}", "a".repeat(30_000)), "", "");
    let no_place = async || {
        let answer = running.ask(&long).await;
        answer.ends_with("<p>The address is too long.</p>")
    };
    tokio::time::timeout(LONG, async { while !no_place().await {} })
        .await
        .unwrap();
    let taken = request(&format!("/length?{}", "a".repeat(12_000)), "", "");
    assert!(running.ask(&taken).await.ends_with("None 12000 0"));
    drop(holding);
    tokio::time::timeout(LONG, async { while no_place().await {} })
        .await
        .unwrap();
}

#[tokio::test]
async fn found_c1_a_long_head_in_pieces_is_served_and_a_second_one_counts_anew() {
    let running = start_for_people().await;
    let mut stream = running.connect().await;
    for _ in 0..8 {
        let head = format!(
            "GET /length?{} HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n",
            "a".repeat(10_000),
            "b".repeat(10_000)
        );
        for piece in head.as_bytes().chunks(999) {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = read_until(&mut stream, "None 10000 0").await;
        assert_eq!(status(&answer), 200);
    }
}

#[tokio::test]
async fn security_q13_a_head_that_is_too_large_hides_no_request() {
    let running = start_for_people().await;
    let long = "a".repeat(13 * 1024);
    for ambiguous in [
        format!("GET /length?{long} HTTP/1.1\nhost: x\r\n\r\n"),
        format!("GET /length?{long} HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
    ] {
        let answer = running.ask(ambiguous).await;
        assert_eq!(problem_code(&answer), "bad_request");
    }
    let hidden = "GET /length HTTP/1.1\r\nhost: x\r\n\r\n";
    let with_body =
        request(&format!("/length?{long}"), "", hidden).replace("connection: close\r\n", "");
    let answer = running.ask(with_body).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn security_q6_http2_is_refused() {
    let running = start(quick(), sample()).await;
    hubkey_fakes::attacks::rapid_reset::check(running.address)
        .await
        .unwrap();
    assert_eq!(status(&running.get("/hello").await), 200);
}

#[tokio::test]
async fn security_q13_no_second_request_hides_in_the_first() {
    let running = start(quick(), sample()).await;
    for path in ["/length", "/hello", "/nowhere"] {
        hubkey_fakes::attacks::smuggling::check(running.address, path)
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
