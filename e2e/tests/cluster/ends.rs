//! The end of a server, which the Hub tells the broker.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::Person;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::cluster::Cluster;
use hubkey_starters::console::say;

use crate::support::{CONNECT, LONG, Outcome, beside_the_hub, cluster, helm_test, kernel};

#[tokio::test]
async fn security_k10_need_10_the_connections_of_a_server_end_with_it() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    end_with_their_server(cluster, "deployment/hubkey").await
}

#[tokio::test]
async fn security_k10_need_10_beside_the_hub_the_connections_of_a_server_end_with_it() -> Outcome {
    let (cluster, _turn) = beside_the_hub().await?;
    helm_test(&cluster)?;
    end_with_their_server(&cluster, "deployment/hub").await
}

/// Connects a person whom nobody knew, stops their server, and looks for what is left.
async fn end_with_their_server(cluster: &Cluster, servers: &str) -> Outcome {
    let person = cluster.keycloak.add_person("leaving").await?;
    let mut kernel = kernel(cluster, &person).await?;
    kernel.begin(CONNECT).await?;
    let browser = sign_in(cluster, &kernel.link().await?, &person).await?;
    kernel.finish(LONG).await?.ok()?;
    drop(kernel);
    let page = format!("{}/services/hubkey/connections", cluster.hub.url());
    browser.open(&page).await?;
    browser.await_text(&person.email).await?;
    ensure!(cluster.keycloak.sessions(&person).await? == 1);

    cluster.hub.stop_server(&person.name, "").await?;
    let stopped = Instant::now();
    browser.open(&page).await?;
    let left = browser.await_text("My connections").await?;
    ensure!(!left.contains(&*person.email), "{left}");
    while cluster.keycloak.sessions(&person).await? > 0 {
        ensure!(stopped.elapsed() < Duration::from_mins(1), "not revoked");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    say(format!(
        "    revoked {:.1?} after the server was gone ({servers})",
        stopped.elapsed()
    ));
    ensure!(is_told(cluster, servers)?, "the audit stream does not tell");
    let hub = cluster.kubectl(&["logs", "deployment/hub", "--container=hub"])?;
    ensure!(!hub.contains("hubkey could not be told"), "{hub}");
    Ok(())
}

async fn sign_in(cluster: &Cluster, link: &str, person: &Person) -> anyhow::Result<Browser> {
    let browser = Browser::start(&cluster.run, &person.name).await?;
    let met = browser.open_sign_in(link, person).await?;
    let last = met.last().context("no page was met")?;
    ensure!(*last == Page::Done, "refused: {}", browser.text().await?);
    Ok(browser)
}

/// Whether one of the brokers wrote down that a token was revoked because its server ended.
fn is_told(cluster: &Cluster, servers: &str) -> anyhow::Result<bool> {
    let logs = ["logs", servers, "--all-pods", "--container=token-broker"];
    let logs = cluster.kubectl(&logs)?;
    let mut lines = logs.lines();
    Ok(lines.any(|line| line.contains("grant_ended") && line.contains("server_stopped")))
}
