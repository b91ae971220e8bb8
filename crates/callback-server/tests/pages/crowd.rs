//! Very many connections, and requests that are two, on both listeners of the program.

use std::time::{Duration, Instant};

use hubkey_fakes::attacks::crowd;
use hubkey_fakes::attacks::rapid_reset;
use hubkey_fakes::attacks::smuggling;
use hubkey_starters::hub_proxy::HubProxy;
use hubkey_starters::process::RunFolder;
use reqwest::StatusCode;

use crate::process::Running;

/// On a busy machine too.
const SOON: Duration = Duration::from_secs(5);

/// The listener takes 2,048 connections; those that are idle longest make room. One address has no more than 64 of them,
/// but for loopback, which stands for a proxy or a crowd of addresses here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q4_ten_thousand_idle_connections_keep_no_browser_out() {
    let (running, _broker) = Running::with_broker(&[("HUBKEY_LOG_FILTER", "error")]).await;
    let crowd = crowd::idle(running.public(), 10_000).await.unwrap();
    for _ in 0..20 {
        let begun = Instant::now();
        let home = running.get("/").header("connection", "close").send().await;
        assert_eq!(home.unwrap().status(), StatusCode::OK);
        assert!(begun.elapsed() < SOON, "served after {:?}", begun.elapsed());
    }
    drop(crowd);
    running.end().await;
}

#[tokio::test]
async fn security_q13_no_listener_of_the_callback_server_answers_a_hidden_request() {
    let (running, broker) = Running::with_broker(&[]).await;
    for (listener, path) in [
        (running.public(), "/start/abcdef.x"),
        (running.public(), "/confirm/abcdef"),
        (running.ops(), "/healthz"),
    ] {
        smuggling::check(listener, path).await.unwrap();
    }
    drop(broker);
    running.end().await;
}

#[tokio::test]
async fn security_q13_nothing_is_hidden_from_the_hubs_proxy() {
    let (running, broker) = Running::with_broker(&[]).await;
    let run = RunFolder::create("hub-proxy").unwrap();
    let proxy = HubProxy::start(&run, running.public()).await.unwrap();
    let counts = async || Ok((proxy.requests().await?, running.requests().await?));
    smuggling::check_behind(proxy.address(), "/confirm/abcdef", counts)
        .await
        .unwrap();
    drop(broker);
    running.end().await;
}

/// Nothing here speaks HTTP/2, so there is no stream to be opened and reset.
#[tokio::test]
async fn security_q6_no_listener_of_the_callback_server_takes_a_stream_of_http2() {
    let (running, broker) = Running::with_broker(&[("HUBKEY_LOG_FILTER", "error")]).await;
    for listener in [running.public(), running.ops()] {
        rapid_reset::check(listener).await.unwrap();
    }
    let begun = Instant::now();
    let home = running.get("/").send().await.unwrap();
    assert_eq!(home.status(), StatusCode::OK);
    assert!(begun.elapsed() < SOON, "served after {:?}", begun.elapsed());
    drop(broker);
    running.end().await;
}
