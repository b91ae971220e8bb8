//! A kernel asks which connections its server has.

use hubkey_protocol::ConnectionList;

use super::{Asker, Flows, failure::KernelFailure};
use crate::{
    domain::connection::Connection,
    store::{
        Key,
        typed::{Loaded, TypedStore},
    },
};

impl Flows {
    /// The connections made with the very server token that asks, newest first.
    pub async fn connections(&self, asker: &Asker) -> Result<ConnectionList, KernelFailure> {
        let kernel = self.known_kernel(asker).await?;
        let index = self.index_of(&kernel.user).await?;
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
                connection.is_of(&kernel) && !connection.waits_for_a_person(self.clock.now()),
                self.provider(&connection.provider),
            ) {
                connections.push(connection.message(provider.config()));
            }
        }
        Ok(ConnectionList { connections })
    }
}
