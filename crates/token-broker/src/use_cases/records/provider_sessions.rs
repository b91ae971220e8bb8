//! Which connections came of which session or account at a provider, and of which server: the lists by which a logout
//! there, or the end of a server, finds them.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::{Connection, PendingConnection},
    identity::ServerIdentity,
    keyed_hash::KeyedHash,
    provider_session::{ProviderSession, ProviderSessionIndex},
    sign_in::SignIn,
};
use hubkey_store::{
    Change, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};

use crate::{
    audit::hex,
    use_cases::{base::Base, rules::Rules},
};

/// How often a change is tried against concurrent ones of the same record.
const MAX_ATTEMPTS: usize = 16;

/// Reads and changes the lists of connections by provider session, account and server.
#[derive(Debug)]
pub(crate) struct ProviderSessions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
}

impl ProviderSessions {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
            rules: Arc::clone(&base.rules),
        }
    }

    pub(crate) async fn load(&self, key: &Key) -> Result<ProviderSessionIndex, StoreError> {
        let found: Found<ProviderSessionIndex> = self.store.load(key).await?;
        Ok(found.map(|loaded| loaded.value).unwrap_or_default())
    }

    /// Notes a connection where a logout will look for it, and the end of a server, or that it lives longer.
    pub(crate) async fn note(&self, connection: &Connection) -> Result<(), StoreError> {
        for kernel in connection.servers() {
            self.note_server(connection, kernel).await?;
        }
        let login = self.login_of(connection);
        self.enter(&connection.grant.issuer, &login).await
    }

    /// Notes a connection where the end of this server will look for it.
    pub(crate) async fn note_server(
        &self,
        connection: &Connection,
        kernel: &ServerIdentity,
    ) -> Result<(), StoreError> {
        let login = self.login_of(connection);
        self.change(&of_server(&kernel.fingerprint), &login).await
    }

    fn login_of(&self, connection: &Connection) -> ProviderSession {
        let ends = connection.extended_at.after(self.rules.connection_lifetime);
        ProviderSession::of(connection, ends)
    }

    /// Notes a grant that is to wait for confirmation where a logout will look for it, and the end of its server.
    pub(crate) async fn note_candidate(
        &self,
        candidate: &PendingConnection,
        sign_in: &SignIn,
    ) -> Result<(), StoreError> {
        let login = ProviderSession::of_candidate(candidate, sign_in);
        self.change(&of_server(&sign_in.kernel.fingerprint), &login)
            .await?;
        self.enter(&candidate.grant.issuer, &login).await
    }

    async fn enter(&self, issuer: &str, login: &ProviderSession) -> Result<(), StoreError> {
        let session = login.session.as_deref();
        let session = session.map(|session| Key::logins_of_session(issuer, session));
        let account = Key::logins_of_account(issuer, &login.subject);
        for key in session.into_iter().chain([account]) {
            self.change(&key, login).await?;
        }
        Ok(())
    }

    async fn change(&self, key: &Key, login: &ProviderSession) -> Result<(), StoreError> {
        let now = self.clock.now();
        let put = |found| {
            let (mut index, expect) = Loaded::<ProviderSessionIndex>::or_new(found);
            index.enter(login.clone(), now);
            Change::put(key.clone(), expect, &index, now.until(index.ends_at(now)))
        };
        if self.store.amend(key, MAX_ATTEMPTS, put).await? == Outcome::Conflict {
            tracing::warn!(
                "the list of an account's or a server's connections changed too often to be written; a logout at the \
                 provider, or the end of the server, would miss this one"
            );
        }
        Ok(())
    }
}

/// Where the connections of the server with this token are listed.
pub(crate) fn of_server(token: &KeyedHash) -> Key {
    Key::logins_of_server(&hex(token.as_bytes()))
}
