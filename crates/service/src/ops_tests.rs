use super::*;

fn metrics() -> Metrics {
    Metrics::new("1.2.3", "abc").unwrap()
}

#[tokio::test]
async fn ops_listener_tells_health_readiness_and_measurements() {
    let readiness = Readiness::new();
    let latch = readiness.hold();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(
        listener,
        readiness.clone(),
        metrics(),
        shutdown.clone(),
    ));

    check_health(address, "/healthz").await.unwrap();
    let starting = check_health(address, "/readyz").await.unwrap_err();
    assert!(starting.to_string().contains("503"), "{starting}");
    drop(latch);
    check_health(address, "/readyz").await.unwrap();

    readiness.check("redis", ErrorCode::StoreUnavailable, || async { false });
    let answer = exchange(address, "/readyz").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("store_unavailable") && answer.contains("redis"),
        "{answer}"
    );
    check_health(address, "/healthz").await.unwrap();

    let answer = exchange(address, "/metrics").await.unwrap();
    assert!(
        answer.contains(r#"hubkey_build_info{version="1.2.3",commit="abc"} 1"#),
        "{answer}"
    );
    assert!(answer.contains(r#"route="/readyz""#), "{answer}");

    shutdown.cancel();
    serving.await.unwrap();
    check_health(address, "/healthz").await.unwrap_err();
}

#[tokio::test]
async fn leaving_is_never_undone() {
    let readiness = Readiness::new();
    readiness.begin_shutdown();
    drop(readiness.hold());
    assert!(readiness.verify().await.is_err());
}

#[test]
fn unspecified_addresses_are_reached_on_loopback() {
    let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
    assert_eq!(reach("0.0.0.0:9"), "127.0.0.1:9");
    assert_eq!(reach("[::]:9"), "[::1]:9");
    assert_eq!(reach("10.0.0.1:9"), "10.0.0.1:9");
}
