//! What is given to the cluster: what stands around the chart, and the chart's values.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::place::Place;
use crate::real::keycloak::Keycloak;
use crate::stack::random;
use hubkey_fakes::certificates::Authority;
use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process::checkout;
use hubkey_starters::tools;

/// The images that the cluster needs, without the tag that ours have.
pub const IMAGES: [&str; 5] = [
    "hubkey-token-broker",
    "hubkey-callback-server",
    "hubkey-hub",
    "hubkey-notebook",
    "hubkey-api",
];
const OTHERS: [&str; 2] = [KEYCLOAK, "redis:7"];
const KEYCLOAK: &str = "quay.io/keycloak/keycloak:26.7";

fn tag() -> String {
    let tag = std::env::var_os("HUBKEY_TAG").unwrap_or_else(|| "dev".into());
    tag.to_string_lossy().into_owned()
}

fn image(name: &str) -> String {
    format!("{name}:{}", tag())
}

/// All of them, with their tags.
pub(super) fn images() -> Vec<String> {
    let ours = IMAGES.map(image);
    ours.into_iter().chain(OTHERS.map(str::to_owned)).collect()
}

/// A hub with the values of `k8s/z2jh/values.yaml`, Keycloak, two APIs, and the Secrets that the chart names: as
/// `e2e/cluster/manifests.py` wants them described.
pub(super) fn around(namespace: &str, hub: u16, keycloak: u16) -> anyhow::Result<Value> {
    let authority = Authority::new("hubkey tests on a cluster")?;
    let pair = authority.issue(&["hubkey-token-broker"])?;
    Ok(json!({
        "namespace": namespace,
        "public_url": public_url(hub),
        "keycloak_port": keycloak,
        "hub": image("hubkey-hub"),
        "notebook": image("hubkey-notebook"),
        "api": image("hubkey-api"),
        "keycloak": KEYCLOAK,
        "hub_password": JupyterHub::PASSWORD,
        "tests_token": JupyterHub::TESTS_TOKEN,
        "client_secret": Keycloak::CLIENT_SECRET,
        "hub_token": random()?,
        "proxy_token": random()?,
        "encryption-1": random()?,
        "encryption-2": random()?,
        "lookup-mac": random()?,
        "tls.crt": pair.certificate,
        "tls.key": pair.key,
        "ca.crt": authority.pem(),
    }))
}

/// The manifests of what is described.
pub(super) fn manifests(described: &Value) -> anyhow::Result<String> {
    let mut script = Command::new(tools::python())
        .arg(checkout().join("e2e/cluster/manifests.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut pipe = script.stdin.take().context("the script has no input")?;
    pipe.write_all(described.to_string().as_bytes())?;
    drop(pipe);
    let output = script.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "e2e/cluster/manifests.py: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn public_url(hub: u16) -> String {
    format!("http://127.0.0.1:{hub}/services/hubkey")
}

/// The chart's values: a path on the hub's origin, TLS for kernels, the bundled Redis.
pub(super) fn values(place: Place, hub: u16, keycloak: u16, keycloak_address: &str) -> String {
    let (public_url, tag, test) = (public_url(hub), tag(), image("hubkey-hub"));
    let (api, beside) = match place {
        Place::OwnPod => ("allowPlaintext: true", false),
        Place::BesideTheHub => ("apiUrl: http://127.0.0.1:8081/hub/api", true),
    };
    format!(
        r#"
publicUrl: {public_url}
hub: {{publicUrl: "http://127.0.0.1:{hub}", {api}}}
sidecar: {{hub: {{enabled: {beside}}}}}
# The issuer is one URL for the browser and for the broker.
hostAliases: [{{ip: {keycloak_address}, hostnames: [keycloak.localhost]}}]
providers:
  lab-api:
    displayName: Example Lab
    issuer: http://keycloak.localhost:{keycloak}/realms/hubkey
    clientId: hubkey
    clientSecret: {{existingSecret: hubkey-lab-api}}
    defaultScopes: [openid, profile, email, "projects:read"]
    apiOrigins: [http://lab-api:8000]
    tokenExchange:
      allowedAudiences: [data-api]
      defaultScopes: ["data-api=data:read"]
      apiOrigins: [data-api=http://data-api:8000]
    allowPlaintext: true
    allowPrivateHosts: [keycloak.localhost]
keys: {{existingSecret: hubkey-keys}}
redis: {{bundled: {{enabled: true}}}}
tokenBroker:
  image: {{tag: "{tag}"}}
  tls: {{existingSecret: hubkey-kernel-tls}}
callbackServer:
  image: {{tag: "{tag}"}}
networkPolicy:
  egress:
    extra:
      - to: [{{podSelector: {{matchLabels: {{app: keycloak}}}}}}]
        ports: [{{protocol: TCP, port: {keycloak}}}]
test: {{image: "{test}"}}
"#
    )
}

/// A pod that does nothing.
pub(super) fn probe(namespace: &str, component: &str) -> String {
    let restricted = json!({
        "runAsNonRoot": true,
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "probe",
            "namespace": namespace,
            "labels": { "component": component },
        },
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "probe",
                "image": image("hubkey-hub"),
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "3600"],
                "securityContext": restricted,
            }],
        },
    })
    .to_string()
}

/// Kills a container of a node, as the node's kernel does when memory runs out: from the node's own processes.
const KILL: &str = r#"
import os, pathlib, signal, sys
def is_wanted(process):
    try:
        return sys.argv[1] in (process / "cgroup").read_text()
    except OSError:
        return False
found = [int(process.name) for process in pathlib.Path("/proc").glob("[0-9]*") if is_wanted(process)]
for process in found:
    os.kill(process, signal.SIGKILL)
sys.exit(not found)
"#;

/// A pod that kills this container on this node with -9, and ends.
pub(super) fn killer(namespace: &str, node: &str, container: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "killer", "namespace": namespace },
        "spec": {
            "nodeName": node,
            "hostPID": true,
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "killer",
                "image": image("hubkey-hub"),
                "imagePullPolicy": "IfNotPresent",
                "command": ["python3", "-c", KILL, container],
                "securityContext": { "runAsUser": 0 },
            }],
        },
    })
    .to_string()
}
