//! A connection lives as long as kernels use it.

use std::sync::Arc;

use hubkey_domain::{clock::Clock, connection::Connection};
use hubkey_store::{Outcome, Store, StoreError, typed::Loaded};

use crate::use_cases::{
    base::Base,
    records::{
        Records, connections::ConnectionRecords, provider_sessions::ProviderSessions,
        user_indexes::UserIndexes,
    },
    rules::Rules,
    tokens::single_flight::SingleFlight,
};

/// Counts the life of a connection anew when it is used.
#[derive(Debug)]
pub(crate) struct Extension {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    single_flight: Arc<SingleFlight>,
    connections: Arc<ConnectionRecords>,
    indexes: Arc<UserIndexes>,
    sessions: Arc<ProviderSessions>,
}

impl Extension {
    pub(crate) fn new(base: &Base, records: &Records) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
            rules: Arc::clone(&base.rules),
            single_flight: Arc::clone(&base.single_flight),
            connections: Arc::clone(&records.connections),
            indexes: Arc::clone(&records.indexes),
            sessions: Arc::clone(&records.sessions),
        }
    }

    /// Counts the life of a connection anew, now and then: it ends when no kernel uses it any more (SECURITY D12).
    /// Nobody waits for that, and if it fails the next use does it.
    pub(crate) fn touch(self: &Arc<Self>, connection: &Loaded<Connection>) {
        let (now, life) = (self.clock.now(), self.rules.connection_lifetime);
        if !connection.value.needs_touch(now, life) {
            return;
        }
        let this = Arc::clone(self);
        let mut connection = connection.clone();
        connection.value.extended_at = now;
        self.single_flight.spawn(async move {
            if let Err(error) = this.write_extended(&connection).await {
                tracing::warn!(%error, "a connection could not be extended");
            }
        });
    }

    async fn write_extended(&self, connection: &Loaded<Connection>) -> Result<(), StoreError> {
        let put = self.connections.put(connection)?;
        if self.store.commit(vec![put]).await? == Outcome::Done {
            self.note(&connection.value).await?;
        }
        Ok(())
    }

    /// In the user's index too, and where a logout looks.
    async fn note(&self, connection: &Connection) -> Result<(), StoreError> {
        self.sessions.note(connection).await?;
        let end = connection.extended_at.after(self.rules.connection_lifetime);
        self.indexes
            .change(&connection.kernel.user, |index| {
                index.extended(&connection.id, end);
            })
            .await
    }

    pub(crate) fn note_later(self: &Arc<Self>, connection: Connection) {
        let this = Arc::clone(self);
        self.single_flight.spawn(async move {
            if let Err(error) = this.note(&connection).await {
                tracing::warn!(%error, "a connection could not be extended in its user's index");
            }
        });
    }
}
