//! The kernel listener over TLS.

use std::time::Duration;

use hubkey_fakes::certificates::{Authority, Pair};
use hubkey_fakes::kernel_api::KernelApi;
use hubkey_fakes::scripted_hub::{HubClient, ScriptedHub};
use reqwest::{Certificate, Method, tls::TlsInfo};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::Instant;

use crate::program::Program;

/// Twice the time in which a new pair is found, and some.
const RELOADED: Duration = Duration::from_secs(40);

/// The certificate that a new connection gets.
async fn served(url: &str, authority: &Authority) -> Vec<u8> {
    let trusted = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .tls_info(true)
        .build()
        .unwrap();
    let answer = client.get(url).send().await.unwrap();
    let info = answer.extensions().get::<TlsInfo>().unwrap();
    info.peer_certificate().unwrap().to_vec()
}

fn der(pair: &Pair) -> Vec<u8> {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    certificate.to_vec()
}

/// Waits until the ops port tells of so many reloads.
async fn reloads(program: &Program, outcome: &str, count: u32) -> String {
    let url = format!("http://{}/metrics", program.get("OPS_LISTEN"));
    let line = format!(
        r#"hubkey_tls_certificate_reloads_total{{listener="kernel",outcome="{outcome}"}} {count}"#
    );
    let begun = Instant::now();
    loop {
        let answer = reqwest::get(&url).await.unwrap();
        let metrics = answer.text().await.unwrap();
        if metrics.contains(&line) {
            return metrics;
        }
        assert!(begun.elapsed() < RELOADED, "{line}: {metrics}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn security_x2_a_certificate_is_replaced_while_a_kernel_waits() {
    let hub = ScriptedHub::start().await.unwrap();
    hub.register(HubClient::hubkey(
        "the-api-token-of-the-service",
        "https://hubkey.example.org/oauth_callback",
    ));
    let (program, authority) = (Program::new(), Authority::new("test").unwrap());
    let first = authority.issue_until(&["127.0.0.1"], 2040).unwrap();
    let files = first.write(program.folder.path()).unwrap();
    let program = program
        .set("HUB_API_URL", hub.api_url())
        .set(
            "KERNEL_CERTIFICATE_FILE",
            files.certificate.display().to_string(),
        )
        .set(
            "KERNEL_CERTIFICATE_KEY_FILE",
            files.key.display().to_string(),
        );
    let (_child, _) = program.start().await;
    let url = format!("https://{}", program.get("KERNEL_LISTEN"));
    assert_eq!(served(&url, &authority).await, der(&first));

    let kernel = KernelApi::trusting(&url, hub.server_token("alice", ""), &authority).unwrap();
    let opened = kernel.open("lab-api").await.unwrap();
    let (waiting, waited_for) = (kernel.clone(), opened.clone());
    let poll = tokio::spawn(async move { waiting.poll(&waited_for).await.unwrap() });

    let second = authority.issue(&["127.0.0.1"]).unwrap();
    second.write(program.folder.path()).unwrap();
    let metrics = reloads(&program, "ok", 1).await;
    let until =
        r#"hubkey_tls_certificate_not_after_timestamp_seconds{listener="kernel"} 2524608000"#;
    assert!(metrics.contains(until), "{metrics}");
    assert_eq!(served(&url, &authority).await, der(&second));
    assert!(!poll.is_finished(), "the poll was cut off");

    // Half a renewal: the certificate is another's.
    let third = authority.issue(&["127.0.0.1"]).unwrap();
    std::fs::write(&files.certificate, &third.certificate).unwrap();
    reloads(&program, "failed", 1).await;
    assert_eq!(served(&url, &authority).await, der(&second));

    let path = format!("/v1/sign-ins/{}", opened.nonce);
    let secret = [("hubkey-poll-secret", opened.poll_secret.as_str())];
    let ended = kernel
        .ask(Method::DELETE, &path, None, &secret)
        .await
        .unwrap();
    assert_eq!(ended.0, 204);
    let (status, answer) = poll.await.unwrap();
    assert!(
        status.is_success() || answer["code"].is_string(),
        "{status} {answer}"
    );
}

#[tokio::test]
async fn mistakes_of_the_certificate_are_told_with_the_others() {
    let program = Program::new();
    let missing = program.folder.path().join("missing").display().to_string();
    let told = program
        .set("KERNEL_LISTEN", "192.0.2.1:8091")
        .set("KERNEL_CERTIFICATE_FILE", missing)
        .set("KERNEL_CERTIFICATE_KEY_FILE", "/dev/null")
        .set("INTERNAL_LISTEN", "192.0.2.1:8092")
        .mistakes()
        .await;
    assert!(told.contains("2 mistakes"), "{told}");
    assert!(
        told.contains("`kernel.certificate_file`: the certificate's file cannot be read"),
        "{told}"
    );
    assert!(told.contains("`internal.listen`"), "{told}");
}
