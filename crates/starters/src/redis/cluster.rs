//! A Redis Cluster of three masters of the test's own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{CLUSTER_RULES, Redis, RedisOptions, USER};
use crate::process::{RunFolder, free_port};

const SLOTS: u16 = 16_384;
const LIMIT: Duration = Duration::from_mins(1);

/// Three masters, each with a third of the slots.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
    _run: RunFolder,
}

impl Cluster {
    /// Starts it, and waits until every node knows of all slots.
    pub async fn start(label: &str) -> anyhow::Result<Self> {
        let run = RunFolder::create(label)?;
        let mut nodes = Vec::new();
        for number in 0..3 {
            let (node, bus) = start_node(&run).await?;
            let first = SLOTS / 3 * number;
            let last = if number == 2 {
                SLOTS - 1
            } else {
                SLOTS / 3 * (number + 1) - 1
            };
            command(
                &node,
                &["ADDSLOTSRANGE", &first.to_string(), &last.to_string()],
            )
            .await?;
            command(&node, &["SET-CONFIG-EPOCH", &(number + 1).to_string()]).await?;
            nodes.push((node, bus));
        }
        let (first, others) = nodes.split_first().context("no node was started")?;
        for (node, bus) in others {
            let (port, bus) = (node.port.to_string(), bus.to_string());
            command(&first.0, &["MEET", "127.0.0.1", &port, &bus]).await?;
        }
        let nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
        let started = Self { nodes, _run: run };
        started.until_whole().await?;
        Ok(started)
    }

    /// Where two of the nodes are, as the broker's settings write it.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let some = self.nodes.iter().take(2);
        some.map(|node| format!("redis://127.0.0.1:{}", node.port))
            .collect()
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The password of both users.
    #[must_use]
    pub fn password(&self) -> &str {
        self.nodes[0].password().unwrap_or_default()
    }

    /// Gives the first half of the first node's slots, which are empty, to the second node.
    pub async fn move_slots(&self) -> anyhow::Result<()> {
        let last = (SLOTS / 6).to_string();
        for node in &self.nodes {
            command(node, &["DELSLOTSRANGE", "0", &last]).await?;
        }
        command(&self.nodes[1], &["ADDSLOTSRANGE", "0", &last]).await?;
        command(&self.nodes[1], &["BUMPEPOCH"]).await?;
        self.until_whole().await
    }

    async fn until_whole(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        for node in &self.nodes {
            loop {
                let info = command(node, &["INFO"]).await?;
                if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                    break;
                }
                if started.elapsed() > LIMIT {
                    bail!("the cluster is not whole after {LIMIT:?}:\n{info}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

async fn start_node(run: &RunFolder) -> anyhow::Result<(Redis, u16)> {
    let bus = free_port()?;
    let options = RedisOptions {
        extra: vec![
            "cluster-enabled yes".to_owned(),
            format!("cluster-port {bus}"),
            "cluster-announce-ip 127.0.0.1".to_owned(),
            "cluster-node-timeout 2000".to_owned(),
        ],
        ..RedisOptions::default()
    };
    let node = Redis::start_with(run, options).await?;
    let mut connection = node.connect().await?;
    let mut rules = redis::cmd("ACL");
    rules.arg("SETUSER").arg(USER).arg(CLUSTER_RULES);
    rules.exec_async(&mut connection).await?;
    Ok((node, bus))
}

async fn command(node: &Redis, words: &[&str]) -> anyhow::Result<String> {
    let mut connection = node.connect().await?;
    let mut command = redis::cmd("CLUSTER");
    Ok(command.arg(words).query_async(&mut connection).await?)
}
