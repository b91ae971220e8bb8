//! A kernel ends a connection.

use std::sync::Arc;

use hubkey_domain::connection::Connection;
use hubkey_protocol::ConnectionId;
use hubkey_store::{Change, Key, Outcome, Store};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        common::Common,
        connections::revocation::Revocation,
        failure::KernelFailure,
        records::{Records, connections::ConnectionRecords, user_indexes::UserIndexes},
        server_authentication::{KernelCredentials, ServerAuthentication},
        tokens::single_flight::SingleFlight,
    },
};

/// How often the end is tried against refreshes of the same connection.
const MAX_ATTEMPTS: usize = 8;

/// Ends connections.
#[derive(Debug)]
pub struct SignOut {
    store: Arc<dyn Store>,
    single_flight: Arc<SingleFlight>,
    connections: Arc<ConnectionRecords>,
    indexes: Arc<UserIndexes>,
    revocation: Arc<Revocation>,
    servers: Arc<ServerAuthentication>,
}

impl SignOut {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            single_flight: Arc::clone(&base.single_flight),
            connections: Arc::clone(&records.connections),
            indexes: Arc::clone(&records.indexes),
            revocation: Arc::clone(&common.revocation),
            servers: Arc::clone(&common.servers),
        }
    }

    /// Forgets the connection, then has its tokens revoked (RFC 7009). The first never waits for the second.
    pub async fn sign_out(
        &self,
        credentials: &KernelCredentials,
        id: &ConnectionId,
    ) -> Result<(), KernelFailure> {
        let kernel = self.servers.recognise(credentials).await?;
        let own = |connection: &Connection| connection.is_of(&kernel);
        self.end_connection(id, own, "sign_out").await
    }

    /// Ends a connection if it fits: forgotten at once, revoked later.
    pub(crate) async fn end_connection(
        &self,
        id: &ConnectionId,
        fits: impl Fn(&Connection) -> bool,
        why: &'static str,
    ) -> Result<(), KernelFailure> {
        for _ in 0..MAX_ATTEMPTS {
            let found = self.connections.load_newest(id).await?;
            let found = found.filter(|found| fits(&found.value));
            let found = found.ok_or(KernelFailure::NotFound)?;
            let delete = Change::delete(Key::connection(id), found.generation);
            if self.store.commit(vec![delete]).await? == Outcome::Conflict {
                // What is held in memory may be older than what was stored at last.
                self.single_flight.release(id);
                continue;
            }
            self.single_flight.release(id);
            self.clean_up(found.value, why).await;
            return Ok(());
        }
        Err(KernelFailure::Contended)
    }

    async fn clean_up(&self, connection: Connection, why: &'static str) {
        Event::for_connection(&connection)
            .reason(why)
            .emit(EventKind::GrantEnded);
        let noted = self
            .indexes
            .change(&connection.kernel.user, |index| {
                index.disconnected(&connection.id);
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "an ended connection stays in its user's index until it would have expired");
        }
        self.revocation.revoke(connection).await;
    }
}
