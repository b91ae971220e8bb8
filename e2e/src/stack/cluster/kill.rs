//! A container that is killed with -9 from outside its pod, which only the node can do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::{Cluster, kubectl, manifests, within};

const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Cluster {
    /// Kills this container of each of these pods, and waits until the kubelet has started them anew. Gives how long
    /// that took.
    pub async fn kill_containers(
        &self,
        pods: &[String],
        container: &str,
    ) -> anyhow::Result<Duration> {
        // The namespace of the installation lets nobody see the node's processes.
        let other = format!("{}-node", self.namespace());
        kubectl(&["create", "namespace", &other], None)?;
        let outcome = self.kill_and_wait(&other, pods, container).await;
        kubectl(&["delete", "namespace", &other, "--wait=false"], None)?;
        outcome
    }

    async fn kill_and_wait(
        &self,
        other: &str,
        pods: &[String],
        container: &str,
    ) -> anyhow::Result<Duration> {
        let mut before = Vec::new();
        for pod in pods {
            before.push(self.container(pod, container)?);
            self.kill(other, pod, container)?;
        }
        let started = Instant::now();
        for (pod, before) in pods.iter().zip(before) {
            while !self.container(pod, container)?.follows(&before) {
                ensure!(
                    started.elapsed() < PATIENCE,
                    "{pod} was not started anew: {}",
                    self.state()
                );
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(started.elapsed())
    }

    fn kill(&self, other: &str, pod: &str, container: &str) -> anyhow::Result<()> {
        let node = ["get", "pod", pod, "--output", "jsonpath={.spec.nodeName}"];
        let node = self.kubectl(&node)?;
        let id = self.container(pod, container)?.id;
        self.apply(&manifests::killer(other, &node, &id))?;
        let ended = "--for=jsonpath={.status.phase}=Succeeded";
        let wait = ["wait", ended, "pod/killer", "--timeout=60s"];
        kubectl(&within(other, &wait), None).context("the container was not killed")?;
        let delete = ["delete", "pod", "killer", "--grace-period=0", "--force"];
        kubectl(&within(other, &delete), None).map(drop)
    }

    fn container(&self, pod: &str, name: &str) -> anyhow::Result<Container> {
        let columns = format!(
            r#"jsonpath={{range .status.containerStatuses[?(@.name=="{name}")]}}{{.containerID}} {{.restartCount}} {{.ready}}{{end}}"#
        );
        let text = self.kubectl(&["get", "pod", pod, "--output", &columns])?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let [id, restarts, ready] = words[..] else {
            bail!("{pod} has no container {name}: {text}")
        };
        Ok(Container {
            id: id.rsplit('/').next().unwrap_or_default().to_owned(),
            restarts: restarts.parse()?,
            ready: ready == "true",
        })
    }
}

/// One life of a container.
#[derive(Debug)]
struct Container {
    id: String,
    restarts: u32,
    ready: bool,
}

impl Container {
    fn follows(&self, before: &Self) -> bool {
        self.ready && self.restarts > before.restarts
    }
}
