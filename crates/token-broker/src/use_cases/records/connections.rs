//! Connections in the store, and those that a refresh brought and the store does not have yet.

use std::sync::Arc;

use hubkey_domain::{
    connection::Connection,
    identity::ServerIdentity,
    refresh_state::{Lease, RefreshState},
};
use hubkey_protocol::ConnectionId;
use hubkey_store::{
    Change, Key, Outcome, Purpose, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};

use crate::use_cases::{
    base::Base, failure::KernelFailure, rules::Rules, tokens::single_flight::SingleFlight,
};

/// Of a record that was created and not changed since.
const FIRST_GENERATION: u64 = 1;

/// Reads and writes connections.
#[derive(Debug)]
pub(crate) struct ConnectionRecords {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    single_flight: Arc<SingleFlight>,
}

impl ConnectionRecords {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            rules: Arc::clone(&base.rules),
            single_flight: Arc::clone(&base.single_flight),
        }
    }

    pub(crate) async fn commit(
        &self,
        changes: Result<Vec<Change>, StoreError>,
    ) -> Result<Outcome, StoreError> {
        self.store.commit(changes?).await
    }

    /// Removes the record of a connection that nobody knows of. Left behind, it ends by itself, and its tokens are
    /// revoked.
    pub(crate) async fn forget(&self, id: &ConnectionId) {
        let delete = Change::delete(Key::connection(id), FIRST_GENERATION);
        match self.store.commit(vec![delete]).await {
            Ok(Outcome::Done | Outcome::Conflict) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection that nobody has stays in the store until it ends");
            }
        }
    }

    pub(crate) async fn load_with_lease(
        &self,
        id: &ConnectionId,
    ) -> Result<(Found<Connection>, Found<Lease>), StoreError> {
        let connection = Key::connection(id);
        let both = self.store.load_pair(&connection, &Key::lease(id)).await;
        match both {
            // A lease says all that it says by being there: somebody may be sending the refresh token (SECURITY I5).
            Err(StoreError::KeyRetired(retired)) if retired.purpose == Purpose::Lease => {
                let lease = Loaded {
                    value: Lease {},
                    generation: retired.generation,
                };
                Ok((self.store.load(&connection).await?, Some(lease)))
            }
            both => both,
        }
    }

    /// The change that writes a connection after one of its refresh. Whoever waits for it is woken.
    pub(crate) fn put(&self, connection: &Loaded<Connection>) -> Result<Change, StoreError> {
        let key = Key::connection(&connection.value.id);
        let life = self.rules.connection_lifetime;
        Ok(Change::put(key, connection.expect(), &connection.value, life)?.waking())
    }

    /// Whether nobody is using its refresh token: who does must find the record as they left it.
    pub(crate) fn is_refresh_idle(&self, connection: &Connection) -> bool {
        self.single_flight.held(&connection.id).is_none()
            && matches!(
                connection.renewal,
                RefreshState::Idle
                    | RefreshState::Resting { .. }
                    | RefreshState::Suspended { .. }
                    | RefreshState::Unverified { .. }
            )
    }

    /// A connection of this very server token.
    pub(crate) async fn load_own(
        &self,
        kernel: &ServerIdentity,
        id: &ConnectionId,
    ) -> Result<Loaded<Connection>, KernelFailure> {
        let found = self.load_newest(id).await?;
        found
            .filter(|loaded| loaded.value.is_of(kernel))
            .ok_or(KernelFailure::NotFound)
    }

    /// The connection as it is known here at last: what a refresh brought may not be stored yet.
    pub(crate) async fn load_newest(
        &self,
        id: &ConnectionId,
    ) -> Result<Option<Loaded<Connection>>, StoreError> {
        match self.single_flight.held(id) {
            Some(held) => Ok(Some(held)),
            None => self.store.load(&Key::connection(id)).await,
        }
    }
}
