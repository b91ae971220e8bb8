//! The Hub reports that a single-user server ended.

use std::sync::Arc;

use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::Connection,
    identity::{HubUser, ServerIdentity, ServerName},
    keyed_hash::KeyedHash,
};
use hubkey_protocol::{ConnectionId, Nonce, ServerStopped};
use hubkey_store::StoreError;
use hubkey_store::keys::LookupMacKey;

use crate::{
    hub::KernelAuthenticator,
    use_cases::{
        base::Base,
        common::Common,
        connections::{sharing::ConnectionSharing, sign_out::SignOut},
        failure::KernelFailure,
        records::{
            Records,
            provider_sessions::{ProviderSessions, of_server},
            sign_ins::SignInRecords,
            user_indexes::UserIndexes,
        },
        server_authentication::KernelCredentials,
        sign_in::ending::{KernelOutcome, SignInEndings},
    },
};

/// A server, and when the Hub reported its end. What was made later is of its next start.
pub(crate) struct StoppedServer {
    user: HubUser,
    server: ServerName,
    /// Of its token, where the Hub still knew that.
    token: Option<KeyedHash>,
    reported_at: Timestamp,
}

impl StoppedServer {
    /// By the very token, whatever the owner is called by now; or by name.
    fn matches(&self, kernel: &ServerIdentity) -> bool {
        let by_token = self.token.as_ref();
        by_token.is_some_and(|token| token.matches(&kernel.fingerprint))
            || (kernel.user.may_be(&self.user) && kernel.server == self.server)
    }

    fn created(&self, kernel: &ServerIdentity, at: Timestamp) -> bool {
        self.matches(kernel) && at <= self.reported_at
    }
}

/// What may belong to a server: hints, their records are the truth.
#[derive(Default)]
struct OwnedRecords {
    sign_ins: Vec<Nonce>,
    connections: Vec<ConnectionId>,
}

/// Ends what a stopped server has.
#[derive(Debug)]
pub struct StoppedServers {
    kernels: Arc<dyn KernelAuthenticator>,
    clock: Arc<dyn Clock>,
    lookup_mac_key: LookupMacKey,
    endings: Arc<SignInEndings>,
    indexes: Arc<UserIndexes>,
    sessions: Arc<ProviderSessions>,
    sharing: Arc<ConnectionSharing>,
    sign_ins: Arc<SignInRecords>,
    sign_out: Arc<SignOut>,
}

impl StoppedServers {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        sharing: &Arc<ConnectionSharing>,
        sign_out: &Arc<SignOut>,
    ) -> Self {
        Self {
            kernels: Arc::clone(&base.kernels),
            clock: Arc::clone(&base.clock),
            lookup_mac_key: base.lookup_mac_key.clone(),
            endings: Arc::clone(&common.endings),
            indexes: Arc::clone(&records.indexes),
            sessions: Arc::clone(&records.sessions),
            sharing: Arc::clone(sharing),
            sign_ins: Arc::clone(&records.sign_ins),
            sign_out: Arc::clone(sign_out),
        }
    }

    /// Ends what the server has: connections, with revocation at the provider, and sign-ins that wait for a person.
    ///
    /// The Hub reports it while the stop goes on, so there is no later start of that server yet, and no token of it that
    /// is still good.
    pub async fn server_stopped(
        &self,
        credentials: &KernelCredentials,
        stopped: &ServerStopped,
    ) -> Result<(), KernelFailure> {
        if !self.kernels.is_service_token(&credentials.token) {
            return Err(KernelFailure::NotTheHub);
        }
        let (Some(user), Some(server)) = (
            HubUser::parse(&stopped.user),
            ServerName::parse(&stopped.server),
        ) else {
            return Ok(());
        };
        let created = stopped.created.as_deref().and_then(Timestamp::from_rfc3339);
        let token = stopped.token.as_ref();
        self.end_all(&StoppedServer {
            user: user.made_at(created),
            server,
            token: token.map(|token| self.lookup_mac_key.fingerprint(token)),
            reported_at: self.clock.now(),
        })
        .await
    }

    async fn end_all(&self, stopped: &StoppedServer) -> Result<(), KernelFailure> {
        let owned_records = self.owned_records(stopped).await?;
        for nonce in &owned_records.sign_ins {
            self.end_sign_in_of(nonce, stopped).await?;
        }
        for id in &owned_records.connections {
            // One that other servers share goes on without this one.
            let only = |connection: &Connection| {
                connection
                    .servers()
                    .all(|kernel| stopped.created(kernel, connection.since))
            };
            match self
                .sign_out
                .end_connection(id, only, "server_stopped")
                .await
            {
                Ok(()) => {}
                Err(KernelFailure::NotFound) => {
                    self.sharing
                        .remove_servers(id, |kernel| stopped.matches(kernel))
                        .await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// By the token first: a user who was renamed has another index, and who got their name too.
    async fn owned_records(&self, stopped: &StoppedServer) -> Result<OwnedRecords, StoreError> {
        let mut found = OwnedRecords::default();
        if let Some(token) = &stopped.token {
            for login in self.sessions.load(&of_server(token)).await?.logins {
                found.sign_ins.extend(login.waiting);
                found.connections.push(login.connection);
            }
        }
        if let Some(index) = self.indexes.load(&stopped.user).await? {
            let open = index.value.open.iter().map(|open| open.nonce.clone());
            found.sign_ins.extend(open);
            found.connections.extend(index.value.ids());
        }
        Ok(found)
    }

    async fn end_sign_in_of(
        &self,
        nonce: &Nonce,
        stopped: &StoppedServer,
    ) -> Result<(), StoreError> {
        let found = self.sign_ins.load_open(nonce).await?;
        let of_it =
            found.filter(|loaded| stopped.created(&loaded.value.kernel, loaded.value.asked_at));
        if let Some(loaded) = of_it {
            // Where it moved meanwhile, it ended or became a connection, which is looked for next.
            self.endings
                .end_sign_in(loaded, KernelOutcome::Denied, Vec::new())
                .await?;
        }
        Ok(())
    }
}
