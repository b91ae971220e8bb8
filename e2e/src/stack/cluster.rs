//! hubkey on a Kubernetes cluster: the chart, and around it a hub, Keycloak and two APIs, in a namespace of their own.
//!
//! Any cluster will do: the one of `KUBECONFIG`, and a command that brings images to it (`E2E_LOAD_IMAGES`, such as
//! `kind load docker-image`). The browser comes in by ports of 127.0.0.1 that lead to two Services, since plain http
//! works on loopback only. The namespace ends with the program that made it, however that ends.

mod kill;
mod manifests;
mod place;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::real::keycloak::Keycloak;
use hubkey_fakes::loopback;
use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process::{Process, RunFolder, Spec, checkout, free_port};
use hubkey_starters::tools;

pub use manifests::IMAGES;
pub use place::Place;

/// The command that brings images to the cluster; it gets their names as arguments.
pub const LOAD_IMAGES: &str = "E2E_LOAD_IMAGES";

const READY: Duration = Duration::from_mins(2);
/// Forwards a port until it is told to end; a broken connection may end one forwarding.
const FORWARDER: &str =
    r#"while :; do "$0" --namespace "$1" port-forward "service/$2" "$3"; sleep 0.2; done"#;
/// Deletes the namespace when it is told to end.
const KEEPER: &str = r#"
trap '"$0" delete namespace "$1" --wait=false --ignore-not-found; exit 0' TERM
while :; do sleep 3600 & wait $!; done
"#;

/// The namespace with everything in it.
#[derive(Debug)]
pub struct Cluster {
    /// The hub, reached through its proxy.
    pub hub: JupyterHub,
    /// The provider.
    pub keycloak: Keycloak,
    /// Logs and files.
    pub run: RunFolder,
    namespace: String,
    values: PathBuf,
    place: Place,
    _keeper: Process,
}

impl Cluster {
    /// Brings the images there, applies what stands around the chart, installs it, and waits until all of it is ready.
    pub async fn start(label: &str, place: Place) -> anyhow::Result<Self> {
        tools::require(&["helm", "python packages"])?;
        let run = RunFolder::create(label)?;
        load_images()?;
        let namespace = format!("hubkey-e2e-{}-{label}", std::process::id());
        let (hub_port, keycloak_port) = (free_port()?, free_port()?);
        let keeper = Spec::new("namespace", "sh")
            .args(["-c", KEEPER])
            .arg(tools::chart::kubectl())
            .arg(&namespace)
            .start(&run)?;
        let around = manifests::around(&namespace, hub_port, keycloak_port)?;
        apply(&manifests::manifests(&around)?)?;
        let address = "jsonpath={.spec.clusterIP}";
        let service = ["get", "service", "keycloak", "--output", address];
        let address = kubectl(&within(&namespace, &service), None)?;
        let values = run.join("values.yaml");
        std::fs::write(
            &values,
            manifests::values(place, hub_port, keycloak_port, &address),
        )?;
        let hub = forward(&run, &namespace, "proxy-public", (hub_port, 80))?;
        let keycloak = forward(&run, &namespace, "keycloak", (keycloak_port, keycloak_port))?;
        let cluster = Self {
            hub: JupyterHub::behind(hub, hub_port, run.join("jupyterhub"))?,
            keycloak: Keycloak::of_container(keycloak, keycloak_port),
            run,
            namespace,
            values,
            place,
            _keeper: keeper,
        };
        cluster.install(around).await?;
        Ok(cluster)
    }

    async fn install(&self, mut around: serde_json::Value) -> anyhow::Result<()> {
        self.helm(&["install", "hubkey", &chart(), "--wait", "--timeout", "3m"])?;
        if self.place == Place::BesideTheHub {
            let values = r"jsonpath={.data.values\.yaml}";
            let values = ["get", "configmap", "hubkey-hub-values", "--output", values];
            around["hub_values"] = self.kubectl(&values)?.into();
            apply(&manifests::manifests(&around)?)?;
        }
        for deployment in ["hub", "proxy", "lab-api", "data-api", "keycloak"] {
            self.rolled_out(deployment)?;
        }
        self.until_answered("/hub/api/").await?;
        // The hub tells its proxy of its services after it has begun to answer itself.
        self.until_served().await
    }

    /// Waits until the hub's proxy finds callback-server, as a person does who reloads the page.
    pub async fn until_served(&self) -> anyhow::Result<()> {
        self.until_answered("/services/hubkey/").await
    }

    async fn until_answered(&self, path: &str) -> anyhow::Result<()> {
        let (client, url) = (loopback::client()?, format!("{}{path}", self.hub.url()));
        let started = std::time::Instant::now();
        while !loopback::answers(&client, &url).await {
            if started.elapsed() > READY {
                bail!("nothing answers at {url}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs kubectl in the namespace, and gives what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        kubectl(&within(&self.namespace, arguments), None)
    }

    /// Applies a manifest, as it is, to the namespace or to another one that it names.
    pub fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        apply(manifest)
    }

    /// Runs Helm in the namespace, with the values of this installation where the verb takes some.
    pub fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(tools::chart::helm());
        command
            .args(["--namespace", &self.namespace])
            .args(arguments);
        if matches!(arguments.first(), Some(&("install" | "upgrade"))) {
            command.arg("--values").arg(&self.values);
        }
        output(command, None)
    }

    /// Upgrades the release to these further values, and waits until every pod has them.
    pub fn upgrade(&self, sets: &[&str]) -> anyhow::Result<()> {
        let chart = chart();
        let mut arguments = vec!["upgrade", "hubkey", &chart, "--wait", "--timeout", "3m"];
        for set in sets {
            arguments.extend(["--set-json", set]);
        }
        self.helm(&arguments)?;
        self.rolled_out("hubkey")
    }

    /// Waits until a Deployment's pods are those that it wants.
    pub fn rolled_out(&self, deployment: &str) -> anyhow::Result<()> {
        let name = format!("deployment/{deployment}");
        let outcome = self.kubectl(&["rollout", "status", &name, "--timeout=300s"]);
        outcome.map(drop).with_context(|| self.state())
    }

    /// The pods of a label that run and are not about to end, by name, and their addresses.
    pub fn pods(&self, label: &str) -> anyhow::Result<Vec<(String, String)>> {
        let columns = r#"jsonpath={range .items[*]}{.metadata.deletionTimestamp} {.metadata.name} {.status.podIP}{"\n"}{end}"#;
        let running = "--field-selector=status.phase=Running";
        let text = self.kubectl(&[
            "get",
            "pods",
            "--selector",
            label,
            running,
            "--output",
            columns,
        ])?;
        // The first column is empty where nobody has ended the pod.
        let pods = text
            .lines()
            .filter_map(|line| line.strip_prefix(' ')?.split_once(' '));
        Ok(pods
            .map(|(name, address)| (name.to_owned(), address.to_owned()))
            .collect())
    }

    /// Starts a pod that does nothing, in this or another namespace, for [`Cluster::open_doors`].
    pub fn start_probe(&self, namespace: &str, component: &str) -> anyhow::Result<()> {
        self.apply(&manifests::probe(namespace, component))?;
        let wait = [
            "wait",
            "--for=condition=Ready",
            "pod/probe",
            "--timeout=60s",
        ];
        kubectl(&within(namespace, &wait), None).map(drop)
    }

    /// Which of these addresses a pod can connect to.
    pub fn open_doors(
        &self,
        namespace: &str,
        pod: &str,
        doors: &[String],
    ) -> anyhow::Result<Vec<String>> {
        let mut arguments = vec!["exec", pod, "--", "python3", "-c", KNOCK];
        arguments.extend(doors.iter().map(String::as_str));
        let text = kubectl(&within(namespace, &arguments), None)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What a failed wait says: the pods, and what went wrong in the namespace.
    fn state(&self) -> String {
        let pods = self.kubectl(&["get", "pods"]).unwrap_or_default();
        let warnings = ["get", "events", "--field-selector=type=Warning"];
        let warnings = self.kubectl(&warnings).unwrap_or_default();
        format!("{pods}{warnings}")
    }
}

/// Prints those of the addresses that take a connection.
pub const KNOCK: &str = "
import socket, sys
for door in sys.argv[1:]:
    host, _, port = door.rpartition(':')
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print(door)
    except OSError:
        pass
";

/// Where the chart is.
#[must_use]
pub fn chart() -> String {
    checkout().join("k8s/hubkey").display().to_string()
}

/// Runs kubectl with the arguments and this on its standard input, and gives what it printed.
pub fn kubectl(arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
    let mut command = Command::new(tools::chart::kubectl());
    command.args(arguments);
    output(command, input)
}

fn apply(manifest: &str) -> anyhow::Result<String> {
    kubectl(&["apply", "--filename", "-"], Some(manifest))
}

fn within<'a>(namespace: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--namespace", namespace], arguments].concat()
}

fn forward(
    run: &RunFolder,
    namespace: &str,
    service: &str,
    (here, there): (u16, u16),
) -> anyhow::Result<Process> {
    Spec::new(format!("forward-{service}"), "sh")
        .args(["-c", FORWARDER])
        .arg(tools::chart::kubectl())
        .args([namespace, service, &format!("{here}:{there}")])
        .start(run)
}

fn load_images() -> anyhow::Result<()> {
    let command = std::env::var_os(LOAD_IMAGES).with_context(|| {
        format!(
            "{LOAD_IMAGES} is not set: give the command that brings images to the cluster, such as `kind load docker-image`"
        )
    })?;
    let mut load = Command::new("sh");
    load.arg("-c")
        .arg(format!("{} \"$@\"", Path::new(&command).display()))
        .arg("load")
        .args(manifests::images());
    output(load, None).map(drop)
}

fn output(mut command: Command, input: Option<&str>) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        pipe.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let start: String = name.chars().take(300).collect();
    bail!("{start}: {text}{errors}")
}
