//! How the server that takes writes is found, again and again.

use std::time::Duration;

use redis::Client;

use super::{
    error::RedisOpenError,
    node::Node,
    patience::PATIENCE,
    sentinel::Sentinels,
    settings::RedisSettings,
    topology::{Address, Topology},
};

/// Where nodes come from.
#[derive(Debug)]
pub(super) struct Resolver {
    settings: RedisSettings,
    finder: Finder,
}

#[derive(Debug)]
enum Finder {
    Server(Client),
    Sentinels(Sentinels),
    Cluster(Vec<Address>),
}

impl Resolver {
    pub(super) fn new(settings: RedisSettings) -> Result<Self, RedisOpenError> {
        settings.check()?;
        let finder = match &settings.topology {
            Topology::Server(url) => Finder::Server(settings.server(url)?),
            Topology::Sentinel(sentinel) => Finder::Sentinels(Sentinels::new(&settings, sentinel)?),
            Topology::Cluster(nodes) => Finder::Cluster(nodes.clone()),
        };
        Ok(Self { settings, finder })
    }

    /// Finds the server that takes writes now.
    pub(super) async fn open(&self, patience: Duration) -> Result<Node, RedisOpenError> {
        match &self.finder {
            Finder::Server(client) => Node::open(client.clone(), &self.settings, patience).await,
            Finder::Cluster(nodes) => Node::open_cluster(nodes, &self.settings, patience).await,
            Finder::Sentinels(sentinels) => {
                let (first, others) = sentinels.masters(patience).await?;
                let mut node = self.named(first, patience).await;
                // They rarely disagree, and then one of two is no master.
                for other in others {
                    if node.is_err() {
                        node = self.named(other, patience).await;
                    }
                }
                node
            }
        }
    }

    async fn named(&self, address: Address, patience: Duration) -> Result<Node, RedisOpenError> {
        let client = self.settings.node(&address)?;
        let node = Node::open(client, &self.settings, patience).await?;
        Ok(Node {
            address: Some(address),
            ..node
        })
    }

    /// Whether the node is still the one to use. Sentinels that do not answer take nothing away.
    pub(super) async fn holds(&self, node: &Node) -> bool {
        let named = async {
            match (&self.finder, &node.address) {
                (Finder::Sentinels(sentinels), Some(address)) => sentinels
                    .masters(PATIENCE)
                    .await
                    .map_or(true, |(first, others)| {
                        first == *address || others.contains(address)
                    }),
                _ => true,
            }
        };
        let (good, named) = tokio::join!(node.is_good(), named);
        good && named
    }
}
