//! A grant becomes a connection, or waits for its person's confirmation.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::{Connection, PendingConnection},
    flow::FlowStage,
    provider::ConnectionScope,
    random::RandomSource,
    refresh_state::RefreshState,
    sign_in::{SignIn, SignInState},
    user_index::IndexedConnection,
};
use hubkey_protocol::{
    ConnectionId, Nonce,
    internal::{BrowserAnswer, BrowserReply},
    secret::HubAccessToken,
};
use hubkey_store::{Change, Expect, Key, Outcome, Store, StoreError, typed::Loaded};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        browser::{
            error_pages::{ErrorPages, reply},
            flow::Browser,
        },
        common::Common,
        providers::Providers,
        records::{
            Records, connections::ConnectionRecords, provider_sessions::ProviderSessions,
            sign_ins::SignInRecords, user_indexes::UserIndexes,
        },
        rules::Rules,
        sign_in::{
            ending::{SignInEndings, count},
            unstored_grant::UnstoredGrant,
        },
        tokens::refresh::{Refresh, recovery::Recoveries},
    },
};

/// What a new connection concerns among what is of the same server token.
#[derive(Default)]
struct AffectedRecords {
    /// Open sign-ins that it satisfies.
    satisfied: Vec<Nonce>,
    /// Other connections at the same provider.
    others: Vec<ConnectionId>,
}

/// Makes a connection of a grant, or has its person confirm it.
#[derive(Debug)]
pub(crate) struct CompleteSignIn {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    connections: Arc<ConnectionRecords>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    indexes: Arc<UserIndexes>,
    recoveries: Arc<Recoveries>,
    sessions: Arc<ProviderSessions>,
    sign_ins: Arc<SignInRecords>,
}

impl CompleteSignIn {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common, refresh: &Refresh) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            connections: Arc::clone(&records.connections),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            indexes: Arc::clone(&records.indexes),
            recoveries: Arc::clone(&refresh.recoveries),
            sessions: Arc::clone(&records.sessions),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// `exchanging → confirming`: the person is to compare the accounts.
    pub(crate) async fn ask_for_confirmation(
        &self,
        browser: Browser<'_>,
        exchanging: Loaded<SignIn>,
        candidate: PendingConnection,
        hub_token: HubAccessToken,
    ) -> Result<BrowserReply, UnstoredGrant> {
        let (id, granted) = (candidate.connection.clone(), candidate.grant.clone());
        // Before it waits: a logout has to find it.
        self.sessions
            .note_candidate(&candidate, &exchanging.value)
            .await
            .map_err(UnstoredGrant::unwritten)?;
        let Ok(confirming) = exchanging.try_map(|sign_in| sign_in.ask(candidate)) else {
            return Ok(self.error_pages.forbidden(browser.source, "sign_in_state"));
        };
        let stage = FlowStage::Confirming {
            hub_token,
            csrf: self.chance.csrf(),
        };
        let changes = [
            browser.put(stage, self.rules.sign_in_lifetime),
            self.sign_ins.put(&confirming),
        ];
        match self.commit_grant(changes).await? {
            Outcome::Done => {
                Event::for_sign_in(&confirming.value)
                    .source(browser.source)
                    .emit(EventKind::AccountConfirmationShown);
                Ok(reply(BrowserAnswer::View {
                    flow: browser.short,
                }))
            }
            // Ended meanwhile, by its kernel or by time: nobody is asked, so nothing is kept.
            Outcome::Conflict => {
                self.endings.revoke(&confirming.value, &id, granted).await;
                Ok(self.error_pages.conflict(browser.source))
            }
        }
    }

    /// `exchanging | confirming → ready`. First the connection, which nobody knows of yet; then the sign-in, which
    /// decides against a concurrent end of it; last the user's index. A crash between leaves a connection that ends by
    /// itself, or one that its kernel has and no list names.
    pub(crate) async fn connect(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        candidate: PendingConnection,
    ) -> Result<BrowserReply, UnstoredGrant> {
        let connection = self.connection_of(&loaded.value, candidate);
        self.create(&connection)
            .await
            .map_err(UnstoredGrant::unwritten)?;
        // Before anybody has it: a logout has to find it.
        let noted = self.sessions.note(&connection).await;
        noted.map_err(UnstoredGrant::unwritten)?;
        let Ok(ready) = loaded.try_map(|sign_in| sign_in.finish(connection.id.clone())) else {
            return Ok(self.error_pages.forbidden(browser.source, "sign_in_state"));
        };
        let account = connection.grant.account.label().to_owned();
        let stage = FlowStage::Done {
            provider: connection.provider.clone(),
            account,
        };
        let changes = [
            browser.put(stage, self.rules.sign_in_lifetime),
            self.sign_ins.put(&ready).map(Change::waking),
        ];
        if self.commit_grant(changes).await? == Outcome::Conflict {
            let reply = self.on_conflict(browser, &ready.value, connection).await;
            return reply.map_err(UnstoredGrant::unknown);
        }
        Event::for_sign_in(&ready.value)
            .connection(&connection.id)
            .source(browser.source)
            .emit(EventKind::TokenIssued);
        count(&connection.provider, "connected");
        self.complete_waiting(&connection, &ready.value.nonce).await;
        Ok(reply(BrowserAnswer::View {
            flow: browser.short,
        }))
    }

    /// Writes the flow, and the sign-in with what was granted.
    async fn commit_grant(
        &self,
        changes: [Result<Change, StoreError>; 2],
    ) -> Result<Outcome, UnstoredGrant> {
        let changes = changes.into_iter().collect::<Result<_, _>>();
        let changes = changes.map_err(UnstoredGrant::unwritten)?;
        self.store
            .commit(changes)
            .await
            .map_err(UnstoredGrant::unknown)
    }

    /// The sign-in moved while its connection was made. Where it ended without one, what was granted is revoked;
    /// else the same confirmation came twice, and the connection is in use.
    async fn on_conflict(
        &self,
        browser: Browser<'_>,
        sign_in: &SignIn,
        connection: Connection,
    ) -> Result<BrowserReply, StoreError> {
        let now = self.sign_ins.load(&sign_in.nonce).await?;
        let ended = now.is_none_or(|loaded| {
            matches!(
                loaded.value.state,
                SignInState::Denied | SignInState::Failed { .. }
            )
        });
        if ended {
            self.connections.forget(&connection.id).await;
            self.endings
                .revoke(sign_in, &connection.id, connection.grant)
                .await;
        }
        Ok(self.error_pages.conflict(browser.source))
    }

    fn connection_of(&self, sign_in: &SignIn, candidate: PendingConnection) -> Connection {
        let now = self.clock.now();
        Connection {
            id: candidate.connection,
            kernel: sign_in.kernel.clone(),
            others: Vec::new(),
            provider: sign_in.provider.clone(),
            wish: sign_in.wish.clone(),
            since: now,
            extended_at: now,
            grant: candidate.grant,
            renewal: RefreshState::Idle,
            unverified: None,
            rejection: None,
        }
    }

    /// Writes the connection, unless the same confirmation did so before.
    async fn create(&self, connection: &Connection) -> Result<(), StoreError> {
        let key = Key::connection(&connection.id);
        let put = Change::put(
            key,
            Expect::Absent,
            connection,
            self.rules.connection_lifetime,
        )?;
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(())
    }

    /// Notes the connection in its user's index, and answers with what of the same server token it concerns.
    async fn index_connection(
        &self,
        connection: &Connection,
        finished: &Nonce,
    ) -> Result<AffectedRecords, StoreError> {
        let end = connection.since.after(self.rules.connection_lifetime);
        let shares = self
            .providers
            .get(&connection.provider)
            .is_some_and(|provider| provider.config().connection_scope != ConnectionScope::SignIn);
        let mut affected = AffectedRecords::default();
        self.indexes
            .change(&connection.kernel.user, |index| {
                let satisfied: Vec<_> = index
                    .open_of(&connection.kernel, &connection.provider)
                    .filter(|open| shares && connection.satisfies(&open.provider, &open.wish))
                    .map(|open| open.nonce.clone())
                    .collect();
                for nonce in satisfied.iter().chain([finished]) {
                    index.ended(nonce);
                }
                affected = AffectedRecords {
                    satisfied,
                    others: index.others_there(connection),
                };
                index.connected(IndexedConnection::of(connection, &connection.kernel, end));
            })
            .await?;
        Ok(affected)
    }

    /// Lists the connection, and completes what else waits for such a one. The sign-in is finished, so its person is
    /// not shown a fault here.
    async fn complete_waiting(&self, connection: &Connection, finished: &Nonce) {
        let affected = self.index_connection(connection, finished).await;
        let affected = affected.unwrap_or_else(|error| {
            tracing::warn!(%error, "a connection is missing in its user's index");
            AffectedRecords::default()
        });
        if let Err(error) = self
            .recoveries
            .replace_suspended(connection, &affected.others)
            .await
        {
            tracing::warn!(%error, "a suspended connection stays beside the one that takes its place");
        }
        for nonce in affected.satisfied {
            if let Err(error) = self.complete_one(&connection.id, &nonce).await {
                tracing::warn!(%error, "a waiting sign-in could not be completed by another one's connection");
            }
        }
    }

    async fn complete_one(
        &self,
        connection: &ConnectionId,
        nonce: &Nonce,
    ) -> Result<(), StoreError> {
        let Some(loaded) = self.sign_ins.load_open(nonce).await? else {
            return Ok(());
        };
        let Ok(ready) = loaded.try_map(|sign_in| sign_in.satisfy(connection.clone())) else {
            return Ok(());
        };
        let put = self.sign_ins.put(&ready)?.waking();
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(())
    }
}
