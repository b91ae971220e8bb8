//! A kernel asks which connections its server has.

use std::sync::Arc;

use hubkey_domain::{clock::Clock, connection::Connection};
use hubkey_protocol::ConnectionList;
use hubkey_store::{
    Key, Store,
    typed::{Loaded, TypedStore},
};

use crate::use_cases::{
    base::Base,
    common::Common,
    failure::KernelFailure,
    providers::Providers,
    records::{Records, user_indexes::UserIndexes},
    server_authentication::{KernelCredentials, ServerAuthentication},
};

/// Lists a server's connections.
#[derive(Debug)]
pub struct ListConnections {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    indexes: Arc<UserIndexes>,
    servers: Arc<ServerAuthentication>,
}

impl ListConnections {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            indexes: Arc::clone(&records.indexes),
            servers: Arc::clone(&common.servers),
        }
    }

    /// The connections made with the very server token that asks, newest first.
    pub async fn connections(
        &self,
        credentials: &KernelCredentials,
    ) -> Result<ConnectionList, KernelFailure> {
        let kernel = self.servers.recognise(credentials).await?;
        let index = self.indexes.load(&kernel.user).await?;
        let now = self.clock.now();
        let mut connections = Vec::new();
        for entry in index
            .iter()
            .flat_map(|index| index.value.connections_of(&kernel))
        {
            let found: Option<Loaded<Connection>> =
                self.store.load(&Key::connection(&entry.id)).await?;
            let Some(connection) = found.map(|loaded| loaded.value) else {
                continue;
            };
            if let (true, Some(provider)) = (
                connection.is_of(&kernel) && !connection.waits_for_a_person(now),
                self.providers.get(&connection.provider),
            ) {
                connections.push(connection.message(provider.config(), now));
            }
        }
        Ok(ConnectionList { connections })
    }
}
