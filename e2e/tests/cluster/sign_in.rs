//! From nothing to an answer of the API, and `helm test`.

use anyhow::ensure;
use hubkey_e2e::real::keycloak::ALICE;

use crate::support::{Outcome, cluster, connected, helm_test};

const EXCHANGE: &str = r#"data = await lab.exchange("data-api")
for api in "LAB_API", "DATA_API":
    print(api, httpx.get(os.environ[api] + "/projects", headers=data.headers).status_code)"#;

#[tokio::test]
async fn feature_g1_a_kernel_in_a_users_pod_signs_in_and_both_apis_answer() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let mut kernel = connected(cluster, &ALICE).await?;
    let cell = r#"import os, httpx
print(os.environ["HUBKEY_URL"], os.environ["HUBKEY_CA_FILE"], os.path.exists("/var/run/secrets/kubernetes.io"))
print(httpx.get(os.environ["LAB_API"] + "/projects", auth=lab).json())"#;
    let text = kernel.run(cell).await?.ok()?;
    ensure!(
        text.contains("https://hubkey-token-broker:8091 /etc/hubkey/ca.crt False"),
        "{text}"
    );
    ensure!(text.contains("alice"), "{text}");
    // The second cell needs no link.
    let text = kernel
        .run("print((await hubkey.connect('lab-api')).provider)")
        .await?
        .ok()?;
    ensure!(text.contains("lab-api"), "{text}");
    let text = kernel.run(EXCHANGE).await?.ok()?;
    ensure!(text.contains("LAB_API 401\nDATA_API 200"), "{text}");
    Ok(())
}

#[tokio::test]
async fn helm_test_finds_every_door_open() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    helm_test(cluster)
}

#[tokio::test]
async fn the_namespace_keeps_to_the_restricted_standard() -> Outcome {
    let (cluster, _turn) = cluster().await?;
    let loose = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose", "namespace": "NAMESPACE"},
        "spec": {"containers": [{"name": "loose", "image": "redis:7"}]}}"#;
    let refused = cluster.apply(&loose.replace("NAMESPACE", cluster.namespace()));
    let words = refused.err().map(|error| format!("{error:#}"));
    ensure!(
        words
            .as_deref()
            .is_some_and(|words| words.contains("violates PodSecurity \"restricted")),
        "{words:?}"
    );
    // What runs there was let in.
    ensure!(cluster.pods("app.kubernetes.io/name=hubkey")?.len() >= 3);
    Ok(())
}
