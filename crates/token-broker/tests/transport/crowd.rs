//! Very many connections, and requests that are two, on every listener of the program.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use hubkey_fakes::attacks::crowd;
use hubkey_fakes::attacks::rapid_reset;
use hubkey_fakes::attacks::smuggling;
use hubkey_fakes::kernel_api::KernelApi;
use hubkey_fakes::scripted_hub::{HubClient, ScriptedHub};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::timeout;

use crate::program::Program;

/// On a busy machine too; a poll would wait longer.
const SOON: Duration = Duration::from_secs(5);
/// Longer than any poll waits, on any machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Few enough to be under way on a busy machine before the first of them has waited its time.
const POLLS: usize = 1024;
const MIB: u64 = 1024 * 1024;
/// A release may take 64 MiB for 4,096 polls. Unoptimised, half as many took 66 MiB when this was written.
const PERMITTED: u64 = 48 * MIB;

pub(crate) async fn hub() -> ScriptedHub {
    let hub = ScriptedHub::start().await.unwrap();
    hub.register(HubClient::hubkey(
        "the-api-token-of-the-service",
        "https://hubkey.example.org/oauth_callback",
    ));
    hub
}

pub(crate) fn program(hub: &ScriptedHub) -> Program {
    Program::new()
        .set("HUB_API_URL", hub.api_url())
        .set("HUB_PUBLIC_URL", hub.url())
}

fn address(program: &Program, listener: &str) -> SocketAddr {
    program.get(listener).parse().unwrap()
}

pub(crate) fn kernel(program: &Program, hub: &ScriptedHub, user: &str) -> KernelApi {
    let url = format!("http://{}", program.get("KERNEL_LISTEN"));
    KernelApi::new(&url, hub.server_token(user, "")).unwrap()
}

/// The value of a measurement.
async fn measured(program: &Program, name: &str) -> f64 {
    let url = format!("http://{}/metrics", program.get("OPS_LISTEN"));
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is missing"))
        .trim()
        .parse()
        .unwrap()
}

/// Somebody who comes now is served, and soon.
async fn is_served(program: &Program, hub: &ScriptedHub, user: &str) {
    let begun = Instant::now();
    let opened = kernel(program, hub, user).open("lab-api").await.unwrap();
    assert!(!opened.nonce.is_empty());
    assert!(begun.elapsed() < SOON, "served after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q4_ten_thousand_idle_connections_keep_nobody_out() {
    const CONNECTIONS: &str = r#"hubkey_http_server_connections{listener="kernel"}"#;
    let hub = hub().await;
    let program = program(&hub);
    let (_child, _log) = program.start().await;
    let crowd = crowd::idle(address(&program, "KERNEL_LISTEN"), 10_000)
        .await
        .unwrap();
    let open = measured(&program, CONNECTIONS).await;
    assert!(open >= 10_000.0, "{open} are open");
    is_served(&program, &hub, "alice").await;
    // The internal listener takes 2,048: those that are idle longest make room.
    let internal = crowd::idle(address(&program, "INTERNAL_LISTEN"), 3_000)
        .await
        .unwrap();
    let site = format!("http://{}/internal/v1/site", program.get("INTERNAL_LISTEN"));
    let site = hubkey_fakes::loopback::client()
        .unwrap()
        .get(site)
        .bearer_auth("c".repeat(32))
        .timeout(SOON);
    assert_eq!(site.send().await.unwrap().status(), 200);
    drop((crowd, internal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q13_no_listener_of_the_broker_answers_a_hidden_request() {
    let hub = hub().await;
    let program = program(&hub);
    let (_child, _log) = program.start().await;
    for (listener, path) in [
        ("KERNEL_LISTEN", "/v1/sign-ins"),
        ("INTERNAL_LISTEN", "/internal/v1/start"),
        ("OPS_LISTEN", "/healthz"),
    ] {
        let checked = smuggling::check(address(&program, listener), path).await;
        checked.unwrap();
    }
}

/// Nothing here speaks HTTP/2, so there is no stream to be opened and reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q6_no_listener_of_the_broker_takes_a_stream_of_http2() {
    let hub = hub().await;
    let program = program(&hub);
    let (_child, _log) = program.start().await;
    for listener in ["KERNEL_LISTEN", "INTERNAL_LISTEN", "OPS_LISTEN"] {
        let checked = rapid_reset::check(address(&program, listener)).await;
        checked.unwrap_or_else(|error| panic!("{listener}: {error:#}"));
    }
    is_served(&program, &hub, "alice").await;
}

/// One poll, as the bytes that a kernel sends.
fn poll(nonce: &str, secret: &str, token: &str) -> String {
    format!(
        "GET /v1/sign-ins/{nonce} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         hubkey-poll-secret: {secret}\r\n\r\n"
    )
}

/// Opens a sign-in for each poll, a few at a time.
async fn sign_ins(program: &Program, hub: &ScriptedHub) -> Vec<String> {
    let kernels: Vec<_> = (0..64)
        .map(|number| kernel(program, hub, &format!("user-{number}")))
        .collect();
    stream::iter(0..=POLLS)
        .map(|number| {
            let kernel = &kernels[number % kernels.len()];
            async move {
                let opened = kernel.open("lab-api").await.unwrap();
                poll(&opened.nonce, &opened.poll_secret, kernel.token())
            }
        })
        .buffer_unordered(16)
        .collect()
        .await
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The first bytes of an answer, once there is one.
async fn answer(mut stream: TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

fn resident(child: &Child) -> u64 {
    let path = format!("/proc/{}/status", child.id().unwrap());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q14_a_crowd_of_polls_costs_little_memory_and_keeps_nobody_out() {
    let hub = hub().await;
    let program = program(&hub)
        .set("SIGN_IN_MAX_PENDING", "1000")
        .set("SIGN_IN_MAX_PER_MINUTE", "10000")
        .set("KERNEL_MAX_WAITING_POLLS", POLLS.to_string())
        .set("LOG_FILTER", "warn,hubkey_token_broker::app=info");
    let (child, _log) = program.start().await;
    let requests = sign_ins(&program, &hub).await;
    crowd::room_for(POLLS as u64).unwrap();
    let before = resident(&child);
    let kernels = address(&program, "KERNEL_LISTEN");
    let mut answers = FuturesUnordered::new();
    for request in &requests {
        answers.push(answer(send(kernels, request).await));
    }
    // One is too many, whichever comes last. It is answered at once, and the others after they have waited.
    let refused = timeout(PATIENCE, answers.next()).await.unwrap().unwrap();
    assert!(
        refused.contains(" 503 ") && refused.contains("overloaded"),
        "{refused}"
    );
    is_served(&program, &hub, "alice").await;
    let grown = resident(&child).saturating_sub(before);
    assert!(grown < PERMITTED, "{POLLS} polls cost {} MiB", grown / MIB);
    while let Some(waited) = timeout(PATIENCE, answers.next()).await.unwrap() {
        assert!(waited.contains(r#""status":"pending""#), "{waited}");
    }
}
