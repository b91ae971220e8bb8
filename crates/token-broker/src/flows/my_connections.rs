//! The page "My connections": a hub user sees what their notebooks can reach, and ends it.

use hubkey_protocol::{
    ConnectionId,
    internal::{
        BrowserAnswer, BrowserReply, ConnectionRow, ConnectionsPage, EndConnections, JustEnded,
        Page, Refusal, SetFlowCookie, Visit,
    },
    secret::HubToken,
};

use super::{
    Flows,
    browser::{Browser, Presence},
    failure::KernelFailure,
    reply,
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::Connection,
        flow::{Flow, FlowStage, Leg, StateRecord, Visiting},
        kernel::HubUser,
        renewal::Renewal,
        user_index::UserIndex,
    },
    store::{
        Change, Expect, Key, Outcome, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// So many connections stand on one page; who ends some sees the next.
const MAX_ROWS: usize = 100;

impl Flows {
    /// Ties the browser to a flow and sends it to the Hub to say who its person is.
    pub async fn my_connections(&self, request: Visit) -> Result<BrowserReply, StoreError> {
        let chance = &self.chance;
        let short = chance.short_id();
        let nonce = chance.nonce(&short);
        let (cookie, state) = (chance.flow_cookie(), chance.state(&short));
        let verifier = chance.pkce_verifier();
        let location = self.browsers.authorize_url(&state, &verifier);
        let record = StateRecord {
            nonce: nonce.clone(),
            flow: self.flow_fingerprint(&cookie),
            leg: Leg::Hub,
        };
        let flow = Flow {
            short: short.clone(),
            nonce,
            stage: FlowStage::Arriving { verifier },
        };
        let life = self.rules.sign_in_life;
        let changes = vec![
            Change::put(Key::flow(&short, &cookie), Expect::Absent, &flow, life)?,
            Change::put(Key::state(&short, &state), Expect::Absent, &record, life)?,
        ];
        if self.store.commit(changes).await? == Outcome::Conflict {
            let event = Event::new().source(request.source.as_deref());
            let event = event.reason("conflict");
            return Ok(self.refuse(Refusal::Unavailable, What::PolicyDenied, event));
        }
        Ok(BrowserReply {
            answer: BrowserAnswer::Redirect { location },
            set_cookie: Some(SetFlowCookie {
                flow: short,
                value: cookie,
                max_age: life.as_secs(),
            }),
            clear_cookie: None,
        })
    }

    /// The Hub has said who the person is.
    pub(super) async fn arrive(
        &self,
        browser: Browser<'_>,
        user: HubUser,
        hub_token: HubToken,
    ) -> Result<BrowserReply, StoreError> {
        let visiting = Visiting {
            user,
            hub_token,
            csrf: self.chance.csrf(),
            just_ended: None,
        };
        let stage = FlowStage::Visiting(Box::new(visiting));
        let put = browser.put(stage, self.rules.sign_in_life)?;
        match self.store.commit(vec![put]).await? {
            Outcome::Done => Ok(reply(BrowserAnswer::Connections {
                flow: browser.short,
            })),
            Outcome::Conflict => Ok(self.forbidden(browser.source, "moved_meanwhile")),
        }
    }

    /// The page, for as long as the Hub says that the browser is still its person's.
    pub(super) async fn show_connections(
        &self,
        browser: Browser<'_>,
        visiting: Visiting,
    ) -> Result<BrowserReply, StoreError> {
        if let Some(refused) = self.stranger(&browser, &visiting).await? {
            return Ok(refused);
        }
        let found = self.all_of(&visiting.user).await?;
        let page = ConnectionsPage {
            flow: browser.short,
            csrf: visiting.csrf,
            user: visiting.user.as_str().to_owned(),
            connections: found
                .iter()
                .take(MAX_ROWS)
                .map(|one| self.row(one))
                .collect(),
            just_ended: visiting.just_ended,
        };
        let page = Page::Connections(page);
        Ok(reply(BrowserAnswer::Page { page }))
    }

    /// Ends one connection of the person, or all. What had ended before is no fault.
    pub async fn end_connections(
        &self,
        request: EndConnections,
    ) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .browser(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, FlowStage::Visiting(mut visiting))) = opened else {
            return Ok(self.forbidden(source, "flow_cookie"));
        };
        if !visiting.csrf.matches(&request.csrf) {
            return Ok(self.forbidden(source, "csrf"));
        }
        if let Some(refused) = self.stranger(&browser, &visiting).await? {
            return Ok(refused);
        }
        let ended = match &request.connection {
            Some(id) => self.end_one(&visiting.user, id).await?,
            None => self.end_all(&visiting.user).await?,
        };
        visiting.just_ended = Some(ended);
        let put = browser.put(FlowStage::Visiting(visiting), self.rules.sign_in_life)?;
        // In a second tab something else was ended at the same time, and is what the page tells.
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(reply(BrowserAnswer::Connections {
            flow: browser.short,
        }))
    }

    /// The refusal for a browser whose person the Hub does not vouch for any more.
    async fn stranger(
        &self,
        browser: &Browser<'_>,
        visiting: &Visiting,
    ) -> Result<Option<BrowserReply>, StoreError> {
        let word = match self.presence(&visiting.hub_token, &visiting.user).await {
            Presence::Same => return Ok(None),
            Presence::Unknown => return Ok(Some(self.hub_unavailable(browser.source))),
            Presence::Gone(word) => word,
        };
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![browser.delete()]).await?;
        let event = Event::new().source(browser.source).reason(word);
        let refused = self.refuse(Refusal::Forbidden, What::HubMismatch, event);
        Ok(Some(BrowserReply {
            clear_cookie: Some(browser.short.clone()),
            ..refused
        }))
    }

    /// What a hub user has, newest first.
    async fn all_of(&self, user: &HubUser) -> Result<Vec<Connection>, StoreError> {
        let index: Found<UserIndex> = self.store.load(&Key::user_index(user)).await?;
        let ids = index.map(|loaded| loaded.value.ids()).unwrap_or_default();
        let mut all = Vec::new();
        for id in ids {
            let found = self
                .newest(&id)
                .await?
                .map(|loaded: Loaded<_>| loaded.value);
            all.extend(found.filter(|one| is_live(one, user)));
        }
        Ok(all)
    }

    async fn end_one(&self, user: &HubUser, id: &ConnectionId) -> Result<JustEnded, StoreError> {
        let found = self.newest(id).await?;
        let Some(connection) = found
            .map(|loaded| loaded.value)
            .filter(|one| is_live(one, user))
        else {
            return Ok(JustEnded::Nothing);
        };
        Ok(if self.end_of(user, id).await? {
            JustEnded::One {
                provider: self.label(&connection.provider),
                account: connection.grant.account.label().to_owned(),
            }
        } else {
            JustEnded::Nothing
        })
    }

    async fn end_all(&self, user: &HubUser) -> Result<JustEnded, StoreError> {
        let mut count = 0;
        for connection in self.all_of(user).await? {
            count += usize::from(self.end_of(user, &connection.id).await?);
        }
        Ok(JustEnded::All { count })
    }

    /// `false` where it had ended before.
    async fn end_of(&self, user: &HubUser, id: &ConnectionId) -> Result<bool, StoreError> {
        let theirs = |connection: &Connection| connection.kernel.user == *user;
        match self.end_connection(id, theirs, "my_connections").await {
            Ok(()) => Ok(true),
            Err(KernelFailure::NotFound) => Ok(false),
            Err(KernelFailure::Store(error)) => Err(error),
            Err(failure) => Err(StoreError::Unavailable(Box::new(failure))),
        }
    }

    fn row(&self, connection: &Connection) -> ConnectionRow {
        let servers = connection.servers();
        let used = connection.extended_at.max(connection.grant.obtained_at);
        ConnectionRow {
            id: connection.id.clone(),
            provider: self.label(&connection.provider),
            account: connection.grant.account.label().to_owned(),
            servers: servers.map(|one| one.server.as_str().to_owned()).collect(),
            scopes: self.labels_of(&connection.provider, &connection.grant.scopes),
            since: connection.since.as_secs(),
            last_used: used.as_secs(),
        }
    }
}

/// Whether it is this hub user's and may still bring a token.
fn is_live(connection: &Connection, user: &HubUser) -> bool {
    connection.kernel.user == *user && connection.renewal != Renewal::Ended
}
