//! One server that takes writes, for as long as its connections last; or a cluster.

use std::{collections::BTreeMap, fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, ScriptInvocation,
    aio::MultiplexedConnection,
};
use tokio::time::sleep;

use super::{
    checks,
    connection::{Connection, was_turned_away},
    error::RedisOpenError,
    patience::{answer, answer_within, unavailable},
    replication::Replication,
    settings::RedisSettings,
    topology::{Address, Topology},
};
use crate::StoreError;

/// How long to wait for a cluster that has just said where something is, or that it is about to move.
const TURNED_AWAY: Duration = Duration::from_millis(20);

/// One server that takes writes, or a cluster. A cluster's client minds its connections itself. Those of one server do not
/// come back by themselves: a wait for replicas says something of a commit only if both went to the same life of the same
/// server.
pub(super) struct Node {
    /// Where to subscribe to wake-ups: any one of these will do.
    pub(super) clients: Vec<Client>,
    /// Where sentinels said that it is.
    pub(super) address: Option<Address>,
    pub(super) connection: Connection,
    pub(super) replication: Option<Replication>,
}

impl Node {
    /// Connects, and checks that this server is fit to keep secrets.
    pub(super) async fn open(
        client: Client,
        settings: &RedisSettings,
        patience: Duration,
    ) -> Result<Self, RedisOpenError> {
        checks::address(&client, settings)?;
        let mut connection = connect(&client, patience).await.map_err(unreachable)?;
        let ask = redis::cmd("INFO");
        let info: String = answer_within(patience, ask.query_async(&mut connection))
            .await
            .map_err(unreachable)?;
        checks::server(&info, settings)?;
        if matches!(settings.topology, Topology::Sentinel(_)) {
            checks::warn_of_failover(&info);
        }
        let replication = match settings.replicas_required {
            0 => None,
            replicas => {
                let connection = connect(&client, patience).await.map_err(unreachable)?;
                Some(Replication::open(connection, replicas))
            }
        };
        Ok(Self {
            clients: vec![client],
            address: None,
            connection: Connection::Server(connection),
            replication,
        })
    }

    /// Connects to a cluster, and checks that each of its masters is fit to keep secrets. A message that is published at
    /// one node comes to subscribers at all of them.
    pub(super) async fn open_cluster(
        nodes: &[Address],
        settings: &RedisSettings,
        patience: Duration,
    ) -> Result<Self, RedisOpenError> {
        let client = settings.cluster(nodes)?;
        let mut connection = answer_within(patience, client.get_async_connection())
            .await
            .map_err(unreachable)?;
        let ask = redis::cmd("INFO");
        let infos = ask.query_async::<BTreeMap<String, String>>(&mut connection);
        for info in answer_within(patience, infos)
            .await
            .map_err(unreachable)?
            .values()
        {
            checks::server(info, settings)?;
        }
        let clients = nodes.iter().map(|address| settings.node(address));
        Ok(Self {
            clients: clients.collect::<Result<_, _>>()?,
            address: None,
            connection: Connection::Cluster(connection),
            replication: None,
        })
    }

    /// Carries a script out, once. A node of a cluster that only turns it away is asked again; who waits sets the end.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        loop {
            let mut connection = self.connection.clone();
            let result = script.invoke_async(&mut connection).await;
            if !self.turns_away(result.as_ref().err()) {
                return result.map_err(unavailable);
            }
            sleep(TURNED_AWAY).await;
        }
    }

    /// Sends a command that only reads. A node of a cluster that turns it away is asked again.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        loop {
            let mut connection = self.connection.clone();
            let result = command.query_async(&mut connection).await;
            if !self.turns_away(result.as_ref().err()) {
                return result.map_err(unavailable);
            }
            sleep(TURNED_AWAY).await;
        }
    }

    fn turns_away(&self, error: Option<&RedisError>) -> bool {
        self.is_cluster() && error.is_some_and(was_turned_away)
    }

    /// Whether it answers. Of a cluster some place is asked, another one each time.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let command = if self.is_cluster() {
            let somewhere = format!("hk:{{{}}}:ping", fastrand::u16(..));
            redis::cmd("HGET").arg(somewhere).arg("g").to_owned()
        } else {
            redis::cmd("PING")
        };
        let answer = command.exec_async(&mut connection).await;
        answer.map_err(unavailable)
    }

    fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_))
    }

    /// Whether all of its connections answer, and it still is a master.
    pub(super) async fn is_good(&self) -> bool {
        if self.is_cluster() {
            return true;
        }
        let mut connection = self.connection.clone();
        let mut ask = redis::cmd("INFO");
        ask.arg("replication");
        let waits = async {
            match &self.replication {
                Some(replication) => replication.answers().await,
                None => true,
            }
        };
        let (info, waits) = tokio::join!(answer(ask.query_async::<String>(&mut connection)), waits);
        waits && info.is_ok_and(|info| checks::is_master(&info))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("address", &self.address)
            .field("replication", &self.replication)
            .finish_non_exhaustive()
    }
}

/// One connection. Each operation on it brings a patience of its own.
pub(super) async fn connect(
    client: &Client,
    patience: Duration,
) -> Result<MultiplexedConnection, StoreError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(None)
        // The default of 50 makes callers queue when many kernels wake up at once.
        .set_pipeline_buffer_size(1024);
    answer_within(
        patience,
        client.get_multiplexed_async_connection_with_config(&config),
    )
    .await
}

fn unreachable(error: StoreError) -> RedisOpenError {
    RedisOpenError::Unreachable(error.into())
}
