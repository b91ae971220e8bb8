//! Asks servers on this machine.

use std::time::Duration;

/// A client for questions to servers on this machine: short time-outs, no redirects, no proxy, and no kept
/// connection, which would end with the runtime of the test that opened it.
pub fn client() -> anyhow::Result<reqwest::Client> {
    // Another part of the same program may have chosen the provider already: then it is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .no_proxy()
        // Browsers know that this is loopback; the resolvers of many machines do not.
        .resolve("keycloak.localhost", ([127, 0, 0, 1], 0).into())
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(30))
        .build()?)
}

/// Whether an address answers 200.
pub async fn answers(client: &reqwest::Client, url: &str) -> bool {
    let answer = client.get(url).timeout(Duration::from_secs(5)).send().await;
    answer.is_ok_and(|answer| answer.status().as_u16() == 200)
}
