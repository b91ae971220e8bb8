//! Upgrades, key rotation, killed pods, evictions, and the end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::{BOB, MALLORY};
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::cluster::{Cluster, chart, kubectl};
use hubkey_starters::console::say;

use crate::support::{CONNECT, LONG, Outcome, cluster, connected, kernel, kernel_of, open_link};

const SERVERS: &str = "app.kubernetes.io/component=servers";

/// Reads the token again and again, over a new connection each time, until the file `stop` appears.
const READ_ON: &str = r#"
import asyncio, json, os, pathlib, ssl, threading, time, urllib.request
stop, reads, failures = threading.Event(), 0, []
context = ssl.create_default_context(cafile=os.environ["HUBKEY_CA_FILE"])
def ask(path, body=None):
    request = urllib.request.Request(os.environ["HUBKEY_URL"] + path, data=body)
    request.add_header("Authorization", "Bearer " + os.environ["JUPYTERHUB_API_TOKEN"])
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return json.load(answer)
identity = ask("/v1/connections")["connections"][0]["id"]
def read():
    global reads
    while not stop.is_set():
        try:
            assert ask(f"/v1/connections/{identity}/token", b"{}")["access_token"]
        except Exception as error:
            failures.append(repr(error))
        reads += 1
        time.sleep(0.02)
readers = [threading.Thread(target=read) for _ in range(4)]
for reader in readers: reader.start()
"#;
const STOP_READING: &str = r"
stop.set()
for reader in readers: reader.join()
print('reads', reads, 'failed', len(failures), failures[:3])
";

#[tokio::test]
async fn no_token_read_fails_while_the_release_is_upgraded_and_its_key_rotated() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let mut kernel = connected(cluster, &MALLORY).await?;
    kernel.run(READ_ON).await?.ok()?;
    // First every replica can open what the new key seals, then the new key seals.
    let both = r#"keys.encryption=["encryption-1","encryption-2"]"#;
    let turned = r#"keys.encryption=["encryption-2","encryption-1"]"#;
    for sets in [
        &[both][..],
        &[turned],
        &[turned, r#"podLabels={"turn":"2"}"#],
    ] {
        cluster.upgrade(sets)?;
    }
    let text = kernel.run(STOP_READING).await?.ok()?;
    cluster.upgrade(&[both])?;
    cluster.upgrade(&[])?;
    say(format!(
        "    while the release was upgraded three times: {}",
        text.trim()
    ));
    ensure!(text.contains(" failed 0 "), "{text}");
    let reads = text.split(' ').nth(1).context("no number")?;
    ensure!(reads.trim().parse::<u32>()? > 500, "{text}");
    // What the old key sealed is still there.
    let again = kernel
        .run("print((await hubkey.connect('lab-api')).provider)")
        .await?
        .ok()?;
    ensure!(again.contains("lab-api"), "{again}");
    Ok(())
}

/// Kills every pod of the servers with no time to end in order, and waits until others are in their place.
async fn kill_pods(cluster: &Cluster) -> Outcome {
    let killed = cluster.pods(SERVERS)?;
    ensure!(killed.len() == 2, "{killed:?}");
    for (pod, _) in &killed {
        cluster.kubectl(&["delete", "pod", pod, "--force", "--grace-period=0"])?;
    }
    // Until the cluster has noticed, it calls the deployment rolled out as it was.
    let started = Instant::now();
    loop {
        let pods = cluster.pods(SERVERS)?;
        if pods.len() == 2 && pods.iter().all(|pod| !killed.contains(pod)) {
            return cluster.rolled_out("hubkey");
        }
        ensure!(started.elapsed() < LONG, "no other pods: {pods:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_sign_in_outlives_the_pods_in_which_it_began() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let mut kernel = kernel(cluster, &BOB).await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    kill_pods(cluster).await?;
    cluster.until_served().await?;
    open_link(cluster, &link, &BOB).await?;
    kernel.finish(LONG).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_sign_in_goes_on_when_every_brokers_container_was_killed_in_its_midst() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let mut kernel = kernel_of(cluster, &BOB, "killed").await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    let browser = Browser::start(&cluster.run, "killed").await?;
    browser.open(&link).await?;
    let met = browser
        .go_through_sign_in_until(&BOB, Page::ProviderSignIn)
        .await?;
    ensure!(met.last() == Some(&Page::ProviderSignIn), "{met:?}");
    let pods: Vec<String> = cluster
        .pods(SERVERS)?
        .into_iter()
        .map(|pod| pod.0)
        .collect();
    let back = cluster.kill_containers(&pods, "token-broker").await?;
    say(format!(
        "    {} containers killed with -9: ready again {back:.1?} later, in the same pods",
        pods.len()
    ));
    cluster.rolled_out("hubkey")?;
    // Nobody has to begin anew: not the person in front of the provider's form, and not the waiting cell.
    let met = browser.go_through_sign_in(&BOB).await?;
    ensure!(
        met.last() == Some(&Page::Done),
        "{met:?}: {}",
        browser.text().await?
    );
    kernel.finish(LONG).await?.ok()?;
    let still: Vec<String> = cluster
        .pods(SERVERS)?
        .into_iter()
        .map(|pod| pod.0)
        .collect();
    ensure!(still == pods, "{pods:?} {still:?}");
    Ok(())
}

#[tokio::test]
async fn the_disruption_budget_keeps_one_pod() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let pods = cluster.pods(SERVERS)?;
    ensure!(pods.len() == 2, "{pods:?}");
    let evict = |pod: &str| {
        let body = format!(
            r#"{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{pod}", "namespace": "{}"}}}}"#,
            cluster.namespace()
        );
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}/eviction",
            cluster.namespace()
        );
        kubectl(&["create", "--raw", &path, "--filename", "-"], Some(&body))
    };
    evict(&pods[0].0)?;
    let second = evict(&pods[1].0);
    cluster.rolled_out("hubkey")?;
    let words = second.err().map(|error| format!("{error:#}"));
    ensure!(
        words
            .as_deref()
            .is_some_and(|words| words.contains("disruption budget")),
        "{words:?}"
    );
    Ok(())
}

#[tokio::test]
async fn uninstalling_leaves_nothing() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let release = "second";
    let chart = chart();
    let sets = ["--set", "fullnameOverride=second", "--set", "replicas=1"];
    let mut install = vec!["install", release, &chart, "--wait", "--timeout", "3m"];
    install.extend(sets);
    cluster.helm(&install)?;
    let label = format!("app.kubernetes.io/instance={release}");
    let kinds = "all,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets,roles,rolebindings";
    let left = || cluster.kubectl(&["get", kinds, "--selector", &label, "--output", "name"]);
    ensure!(left()?.lines().count() > 8, "{}", left()?);
    cluster.helm(&["uninstall", release, "--wait", "--timeout", "3m"])?;
    let started = Instant::now();
    while !left()?.is_empty() {
        ensure!(started.elapsed() < Duration::from_mins(1), "{}", left()?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
