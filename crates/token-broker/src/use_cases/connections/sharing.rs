//! A connection that servers of one hub user share, where the operator has it so (ADR 36).

use std::sync::Arc;

use hubkey_domain::{
    connection::Connection,
    identity::ServerIdentity,
    provider::ConnectionScope,
    user_index::{IndexedConnection, UserIndex},
};
use hubkey_protocol::ConnectionId;
use hubkey_store::{
    Key, Outcome, Store,
    typed::{Found, Loaded, TypedStore},
};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        common::Common,
        failure::KernelFailure,
        records::{
            Records, connections::ConnectionRecords, provider_sessions::ProviderSessions,
            user_indexes::UserIndexes,
        },
        rules::Rules,
        sign_in::{request_policy::ProviderRequest, shared_servers::SharedServerPolicy},
        tokens::ensure_valid::ValidTokens,
    },
};

/// How often a change is tried against concurrent ones of the same connection.
const MAX_ATTEMPTS: usize = 8;

/// Shares a connection among the servers of one hub user.
#[derive(Debug)]
pub(crate) struct ConnectionSharing {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    connections: Arc<ConnectionRecords>,
    indexes: Arc<UserIndexes>,
    sessions: Arc<ProviderSessions>,
    shared_servers: Arc<SharedServerPolicy>,
    valid_tokens: Arc<ValidTokens>,
}

impl ConnectionSharing {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        valid_tokens: &Arc<ValidTokens>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            rules: Arc::clone(&base.rules),
            connections: Arc::clone(&records.connections),
            indexes: Arc::clone(&records.indexes),
            sessions: Arc::clone(&records.sessions),
            shared_servers: Arc::clone(&common.shared_servers),
            valid_tokens: Arc::clone(valid_tokens),
        }
    }

    /// The newest connection of another server of the same hub user that is what is asked for. From then on it is of
    /// this server too: the Hub said just now whose this server is.
    pub(crate) async fn of_another_server(
        self: &Arc<Self>,
        kernel: &ServerIdentity,
        requested: &ProviderRequest,
        index: Option<&Loaded<UserIndex>>,
    ) -> Result<Option<Arc<Connection>>, KernelFailure> {
        let config = requested.provider.config();
        let (Some(index), ConnectionScope::User) = (index, config.connection_scope) else {
            return Ok(None);
        };
        for entry in index.value.connections_at(&config.id) {
            let found: Found<Connection> = self.store.load(&Key::connection(&entry.id)).await?;
            let of_this_user = |found: &Loaded<Connection>| {
                found.value.kernel.user.is(&kernel.user)
                    && found.value.satisfies(&config.id, &requested.wish)
            };
            let Some(found) = found.filter(of_this_user) else {
                continue;
            };
            // Others may enter this server; its owner is to sign in on a page that says so.
            if self.shared_servers.check(kernel).await? {
                return Ok(None);
            }
            if let Ok(connection) = self.valid_tokens.ensure_usable(found).await?
                && self.share(&connection.id, kernel).await?
            {
                return Ok(Some(connection));
            }
        }
        Ok(None)
    }

    /// Notes that the connection is of this server too. `false` where it is gone.
    async fn share(
        &self,
        id: &ConnectionId,
        kernel: &ServerIdentity,
    ) -> Result<bool, KernelFailure> {
        for _ in 0..MAX_ATTEMPTS {
            let found: Found<Connection> = self.store.load(&Key::connection(id)).await?;
            let Some(mut loaded) = found else {
                return Ok(false);
            };
            if !self.connections.is_refresh_idle(&loaded.value) {
                return Err(KernelFailure::RefreshInProgress);
            }
            loaded.value.share_with(kernel);
            let put = self.connections.put(&loaded)?;
            if self.store.commit(vec![put]).await? == Outcome::Done {
                self.note_shared(&loaded.value, kernel).await?;
                return Ok(true);
            }
        }
        Err(KernelFailure::Contended)
    }

    async fn note_shared(
        &self,
        connection: &Connection,
        kernel: &ServerIdentity,
    ) -> Result<(), KernelFailure> {
        Event::for_connection(connection)
            .kernel(kernel)
            .reason("shared")
            .emit(EventKind::TokenIssued);
        self.sessions.note_server(connection, kernel).await?;
        let end = connection.extended_at.after(self.rules.connection_lifetime);
        self.indexes
            .change(&kernel.user, |index| {
                index.connected(IndexedConnection::of(connection, kernel, end));
            })
            .await?;
        Ok(())
    }

    /// Some of the connection's servers ended, and not all. What goes wrong here costs a name in a list.
    pub(crate) async fn remove_servers(
        &self,
        id: &ConnectionId,
        ended: impl Fn(&ServerIdentity) -> bool,
    ) -> Result<(), KernelFailure> {
        for _ in 0..MAX_ATTEMPTS {
            let found: Found<Connection> = self.store.load(&Key::connection(id)).await?;
            let Some(mut loaded) = found.filter(|found| found.value.servers().any(&ended)) else {
                return Ok(());
            };
            if !self.connections.is_refresh_idle(&loaded.value) {
                tokio::time::sleep(self.rules.refresh_recheck_interval).await;
                continue;
            }
            if !loaded.value.leave(&ended) {
                return Ok(());
            }
            let put = self.connections.put(&loaded)?;
            if self.store.commit(vec![put]).await? == Outcome::Done {
                let left: Vec<_> = loaded
                    .value
                    .servers()
                    .map(|kernel| kernel.fingerprint)
                    .collect();
                let user = &loaded.value.kernel.user;
                self.indexes
                    .change(user, |index| index.left(id, &left))
                    .await?;
                return Ok(());
            }
        }
        Err(KernelFailure::Contended)
    }
}
