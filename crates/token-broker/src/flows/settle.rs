//! A grant becomes a connection, or waits for its person's confirmation.

use hubkey_protocol::{
    ConnectionId, Nonce,
    internal::{BrowserAnswer, BrowserReply},
    secret::HubAccessToken,
};

use super::{Flows, browser::Browser, ending::count, judge::Undone, reply};
use crate::{
    audit::{Event, What},
    domain::{
        connection::{Candidate, Connection},
        flow::FlowStage,
        provider::Sharing,
        renewal::Renewal,
        sign_in::{SignIn, SignInState},
        user_index::IndexedConnection,
    },
    store::{Change, Expect, Key, Outcome, StoreError, typed::Loaded},
};

/// What a new connection concerns among what is of the same server token.
#[derive(Default)]
struct Concerned {
    /// Open sign-ins that it satisfies.
    satisfied: Vec<Nonce>,
    /// Other connections at the same provider.
    others: Vec<ConnectionId>,
}

impl Flows {
    /// `exchanging → confirming`: the person is to compare the accounts.
    pub(super) async fn ask(
        &self,
        browser: Browser<'_>,
        exchanging: Loaded<SignIn>,
        candidate: Candidate,
        hub_token: HubAccessToken,
    ) -> Result<BrowserReply, Undone> {
        let (id, granted) = (candidate.connection.clone(), candidate.grant.clone());
        // Before it waits: a logout has to find it.
        self.enter_candidate(&candidate, &exchanging.value)
            .await
            .map_err(Undone::unwritten)?;
        let Ok(confirming) = exchanging.try_map(|sign_in| sign_in.ask(candidate)) else {
            return Ok(self.forbidden(browser.source, "sign_in_state"));
        };
        let stage = FlowStage::Confirming {
            hub_token,
            csrf: self.chance.csrf(),
        };
        let changes = [
            browser.put(stage, self.rules.sign_in_life),
            self.put_sign_in(&confirming),
        ];
        match self.commit_grant(changes).await? {
            Outcome::Done => {
                Event::about(&confirming.value)
                    .source(browser.source)
                    .tell(What::ConsentShown);
                Ok(reply(BrowserAnswer::View {
                    flow: browser.short,
                }))
            }
            // Ended meanwhile, by its kernel or by time: nobody is asked, so nothing is kept.
            Outcome::Conflict => {
                self.revoke(&confirming.value, &id, granted).await;
                Ok(self.forbidden(browser.source, "moved_meanwhile"))
            }
        }
    }

    /// `exchanging | confirming → ready`. First the connection, which nobody is told of; then the sign-in, which
    /// decides against a concurrent end of it; last the user's index. A crash between leaves a connection that ends by
    /// itself, or one that its kernel has and no list names.
    pub(super) async fn settle(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        candidate: Candidate,
    ) -> Result<BrowserReply, Undone> {
        let connection = self.connection_of(&loaded.value, candidate);
        self.create(&connection).await.map_err(Undone::unwritten)?;
        // Before anybody has it: a logout has to find it.
        let entered = self.enter_login(&connection).await;
        entered.map_err(Undone::unwritten)?;
        let Ok(ready) = loaded.try_map(|sign_in| sign_in.finish(connection.id.clone())) else {
            return Ok(self.forbidden(browser.source, "sign_in_state"));
        };
        let account = connection.grant.account.label().to_owned();
        let stage = FlowStage::Done {
            provider: connection.provider.clone(),
            account,
        };
        let changes = [
            browser.put(stage, self.rules.sign_in_life),
            self.put_sign_in(&ready).map(Change::waking),
        ];
        if self.commit_grant(changes).await? == Outcome::Conflict {
            let overtaken = self.overtaken(browser, &ready.value, connection).await;
            return overtaken.map_err(Undone::unknown);
        }
        Event::about(&ready.value)
            .connection(&connection.id)
            .source(browser.source)
            .tell(What::TokenIssued);
        count(&connection.provider, "connected");
        self.satisfy_others(&connection, &ready.value.nonce).await;
        Ok(reply(BrowserAnswer::View {
            flow: browser.short,
        }))
    }

    /// Writes the flow, and the sign-in with what was granted.
    async fn commit_grant(
        &self,
        changes: [Result<Change, StoreError>; 2],
    ) -> Result<Outcome, Undone> {
        let changes = changes.into_iter().collect::<Result<_, _>>();
        let changes = changes.map_err(Undone::unwritten)?;
        self.store.commit(changes).await.map_err(Undone::unknown)
    }

    /// The sign-in moved while its connection was made. Where it ended without one, what was granted is given back;
    /// else the same confirmation came twice, and the connection is in use.
    async fn overtaken(
        &self,
        browser: Browser<'_>,
        sign_in: &SignIn,
        connection: Connection,
    ) -> Result<BrowserReply, StoreError> {
        let now = self.sign_in(&sign_in.nonce).await?;
        let ended = now.is_none_or(|loaded| {
            matches!(
                loaded.value.state,
                SignInState::Denied | SignInState::Failed { .. }
            )
        });
        if ended {
            self.forget(&connection.id).await;
            self.revoke(sign_in, &connection.id, connection.grant).await;
        }
        Ok(self.forbidden(browser.source, "moved_meanwhile"))
    }

    fn connection_of(&self, sign_in: &SignIn, candidate: Candidate) -> Connection {
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
            renewal: Renewal::Idle,
            unverified: None,
        }
    }

    /// Writes the connection, unless the same confirmation did so before.
    async fn create(&self, connection: &Connection) -> Result<(), StoreError> {
        let key = Key::connection(&connection.id);
        let put = Change::put(key, Expect::Absent, connection, self.rules.connection_life)?;
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(())
    }

    /// Notes the connection in its user's index, and answers with what of the same server token it concerns.
    async fn enter_connection(
        &self,
        connection: &Connection,
        finished: &Nonce,
    ) -> Result<Concerned, StoreError> {
        let end = connection.since.after(self.rules.connection_life);
        let shares = self
            .provider(&connection.provider)
            .is_some_and(|provider| provider.config().sharing != Sharing::Nobody);
        let mut concerned = Concerned::default();
        self.change_index(&connection.kernel.user, |index| {
            let satisfied: Vec<_> = index
                .open_of(&connection.kernel, &connection.provider)
                .filter(|open| shares && connection.satisfies(&open.provider, &open.wish))
                .map(|open| open.nonce.clone())
                .collect();
            for nonce in satisfied.iter().chain([finished]) {
                index.ended(nonce);
            }
            concerned = Concerned {
                satisfied,
                others: index.others_there(connection),
            };
            index.connected(IndexedConnection::of(connection, &connection.kernel, end));
        })
        .await?;
        Ok(concerned)
    }

    /// Lists the connection, and completes what else waits for such a one. The sign-in is finished, so its person is
    /// not told of a fault here.
    async fn satisfy_others(&self, connection: &Connection, finished: &Nonce) {
        let concerned = self.enter_connection(connection, finished).await;
        let concerned = concerned.unwrap_or_else(|error| {
            tracing::warn!(%error, "a connection is missing in its user's index");
            Concerned::default()
        });
        if let Err(error) = self.replace_suspended(connection, &concerned.others).await {
            tracing::warn!(%error, "a suspended connection stays beside the one that takes its place");
        }
        for nonce in concerned.satisfied {
            if let Err(error) = self.satisfy(&connection.id, &nonce).await {
                tracing::warn!(%error, "a waiting sign-in could not be completed by another one's connection");
            }
        }
    }

    async fn satisfy(&self, connection: &ConnectionId, nonce: &Nonce) -> Result<(), StoreError> {
        let Some(loaded) = self.open_sign_in(nonce).await? else {
            return Ok(());
        };
        let Ok(ready) = loaded.try_map(|sign_in| sign_in.satisfy(connection.clone())) else {
            return Ok(());
        };
        let put = self.put_sign_in(&ready)?.waking();
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(())
    }

    /// Notes that a sign-in ended. Left undone by a fault, the entry ends by itself.
    pub(super) async fn note_ended(&self, sign_in: &SignIn) {
        let noted = self
            .change_index(&sign_in.kernel.user, |index| index.ended(&sign_in.nonce))
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "an ended sign-in stays in its user's index until it would have expired");
        }
    }
}
