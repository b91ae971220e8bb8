//! Who reaches what: the policies, proved both ways, and the hub's proxy.

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::keycloak::BOB;
use hubkey_e2e::stack::cluster::{Cluster, KNOCK, kubectl};
use hubkey_fakes::loopback;

use crate::support::{Outcome, cluster, kernel};

const SERVERS: &str = "app.kubernetes.io/component=servers";
const REDIS: &str = "app.kubernetes.io/component=redis";
const KERNEL: u16 = 8091;
/// Every port of a pod of the two servers: public, kernel, internal, and the two of operations.
const PORTS: [u16; 5] = [8090, KERNEL, 8092, 9091, 9092];

/// Every door: of one pod of the servers, and Redis'.
fn doors(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let servers = cluster.pods(SERVERS)?;
    let (_, servers) = servers.first().context("no pod of the servers")?;
    let redis = cluster.pods(REDIS)?;
    let (_, redis) = redis.first().context("no pod of Redis")?;
    let mut doors = PORTS.map(|port| format!("{servers}:{port}")).to_vec();
    doors.push(format!("{redis}:6379"));
    Ok(doors)
}

fn ports(open: &[String]) -> Vec<u16> {
    let port = |door: &String| door.rsplit(':').next()?.parse().ok();
    open.iter().filter_map(port).collect()
}

#[tokio::test]
async fn security_x3_a_users_pod_reaches_the_kernel_listener_and_nothing_else() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let mut kernel = kernel(cluster, &BOB).await?;
    let arguments = serde_json::to_string(&doors(cluster)?)?;
    let cell = format!("import sys\nsys.argv = ['', *{arguments}]\n{KNOCK}");
    let text = kernel.run(&cell).await?.ok()?;
    let open: Vec<String> = text.lines().map(str::to_owned).collect();
    ensure!(ports(&open) == [KERNEL], "{open:?}");
    Ok(())
}

#[tokio::test]
async fn security_x3_another_pod_and_another_namespace_reach_nothing() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let other = format!("{}-other", cluster.namespace());
    kubectl(&["create", "namespace", &other], None)?;
    let outcome = strangers(cluster, &other);
    kubectl(&["delete", "namespace", &other, "--wait=false"], None)?;
    outcome
}

fn strangers(cluster: &Cluster, other: &str) -> Outcome {
    // In another namespace the labels of a user's pod are of no use.
    cluster.start_probe(other, "singleuser-server")?;
    cluster.start_probe(cluster.namespace(), "stranger")?;
    let doors = doors(cluster)?;
    for namespace in [other, cluster.namespace()] {
        let open = cluster.open_doors(namespace, "probe", &doors)?;
        ensure!(open.is_empty(), "{namespace}: {open:?}");
    }
    // Without the policies the same pods reach all but the internal listener, which is on loopback.
    cluster.upgrade(&["networkPolicy.enabled=false"])?;
    let doors = self::doors(cluster)?;
    let open = cluster.open_doors(other, "probe", &doors)?;
    let expected = [8090, KERNEL, 9091, 9092, 6379];
    cluster.upgrade(&[])?;
    cluster.kubectl(&["delete", "pod", "probe"])?;
    ensure!(ports(&open) == expected, "{open:?}");
    Ok(())
}

/// Paths of the broker, as they are and in disguise.
const PATHS: [&str; 12] = [
    "/v1/providers",
    "/v1/sign-ins",
    "/v1/connections",
    "/internal/v1/site",
    "/internal/v1/start",
    "/metrics",
    "/healthz",
    "/readyz",
    "/..%2fv1/providers",
    "/%2e%2e/v1/providers",
    "//v1/providers",
    "/start/../v1/providers",
];

#[tokio::test]
async fn security_x8_the_broker_is_not_reached_through_the_hubs_proxy() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let client = loopback::client()?;
    let hub = cluster.hub.url();
    // The way to callback-server is there.
    let known = format!("{hub}/services/hubkey/start/not-a-ticket");
    let answer = client.get(known).send().await?;
    ensure!(answer.status() == 410, "{answer:?}");
    for path in PATHS {
        let answer = client
            .get(format!("{hub}/services/hubkey{path}"))
            .bearer_auth("0123456789abcdef0123456789abcdef")
            .send()
            .await?;
        let (status, kind) = (
            answer.status(),
            answer.headers().get("content-type").cloned(),
        );
        let text = answer.text().await?;
        ensure!(
            status.is_client_error() || status.is_redirection(),
            "{path}: {status}"
        );
        ensure!(
            kind.is_none_or(|kind| kind != "application/problem+json")
                && !text.contains("hubkey_build_info"),
            "{path}: {text}"
        );
    }
    Ok(())
}
