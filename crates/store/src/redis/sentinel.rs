//! Which server is the master, as the sentinels say.

use std::{fmt, time::Duration};

use futures_util::future::join_all;
use redis::{Client, aio::MultiplexedConnection};
use tokio::sync::Mutex;

use super::{
    error::RedisOpenError,
    node::connect,
    patience::answer_within,
    settings::RedisSettings,
    topology::{Address, SentinelSettings},
};
use crate::StoreError;

#[derive(Debug, thiserror::Error)]
enum NoMaster {
    #[error("no sentinel answers")]
    Silent(#[source] StoreError),
    #[error("no sentinel knows a master by the name of `redis.sentinel.master`")]
    Unknown,
}

/// What a sentinel says: the host and the port of the master, if it knows one of that name.
type Named = Option<(String, u16)>;

/// All sentinels.
pub(super) struct Sentinels {
    master: String,
    sentinels: Vec<Sentinel>,
}

impl Sentinels {
    pub(super) fn new(
        settings: &RedisSettings,
        sentinel: &SentinelSettings,
    ) -> Result<Self, RedisOpenError> {
        let sentinels = sentinel.addresses.iter().map(|address| {
            Ok(Sentinel {
                client: settings.sentinel(sentinel, address)?,
                address: address.clone(),
                connection: Mutex::default(),
            })
        });
        Ok(Self {
            master: sentinel.master.clone(),
            sentinels: sentinels.collect::<Result<_, RedisOpenError>>()?,
        })
    }

    /// Where the master is: what most of those say who answer, so that one which is cut off decides nothing; and the
    /// others of which as many say it.
    pub(super) async fn masters(
        &self,
        patience: Duration,
    ) -> Result<(Address, Vec<Address>), RedisOpenError> {
        let asked = self
            .sentinels
            .iter()
            .map(|sentinel| sentinel.ask(&self.master, patience));
        let mut votes = Votes::default();
        let mut failure = None;
        for (sentinel, answer) in self.sentinels.iter().zip(join_all(asked).await) {
            match answer {
                Ok(Some((host, port))) => votes.count(sentinel.address.beside(&host, port)),
                Ok(None) => failure = Some(NoMaster::Unknown),
                Err(error) => {
                    failure.get_or_insert(NoMaster::Silent(error));
                }
            }
        }
        let mut best = votes.best().into_iter();
        match best.next() {
            Some(first) => Ok((first, best.collect())),
            None => Err(unreachable(failure.unwrap_or(NoMaster::Unknown))),
        }
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.sentinels.iter().map(|sentinel| &sentinel.address);
        f.debug_list().entries(addresses).finish()
    }
}

/// One sentinel, and the connection to it while there is one.
struct Sentinel {
    client: Client,
    address: Address,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Sentinel {
    async fn ask(&self, master: &str, patience: Duration) -> Result<Named, StoreError> {
        let mut kept = self.connection.lock().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => connect(&self.client, patience).await?,
        };
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(master);
        let named = answer_within(patience, question.query_async(&mut connection)).await?;
        *kept = Some(connection);
        Ok(named)
    }
}

/// Who was named how often, in the order of the first naming.
#[derive(Default)]
struct Votes(Vec<(usize, Address)>);

impl Votes {
    fn count(&mut self, named: Address) {
        match self.0.iter_mut().find(|(_, other)| *other == named) {
            Some((votes, _)) => *votes += 1,
            None => self.0.push((1, named)),
        }
    }

    /// Those with the most votes.
    fn best(self) -> Vec<Address> {
        let most = self.0.iter().map(|(votes, _)| *votes).max();
        let best = self.0.into_iter().filter(|(votes, _)| Some(*votes) == most);
        best.map(|(_, address)| address).collect()
    }
}

fn unreachable(reason: NoMaster) -> RedisOpenError {
    RedisOpenError::Unreachable(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_sentinels_say_counts() {
        let address = |port: &u16| Address::parse(&format!("redis://127.0.0.1:{port}")).unwrap();
        let best = |named: &[u16]| {
            let mut votes = Votes::default();
            for port in named {
                votes.count(address(port));
            }
            votes.best()
        };
        assert_eq!(best(&[1, 2, 2]), [address(&2)]);
        assert_eq!(best(&[1, 2]), [address(&1), address(&2)]);
        assert_eq!(best(&[]), []);
    }
}
