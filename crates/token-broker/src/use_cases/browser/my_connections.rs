//! The page "My connections": a hub user sees what their notebooks can reach, and ends it.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::Connection,
    flow::{Flow, FlowStage, Visiting},
    identity::HubUser,
    random::RandomSource,
    refresh_state::RefreshState,
};
use hubkey_protocol::{
    ConnectionId, ShortId,
    internal::{
        BrowserAnswer, BrowserReply, ConnectionRow, ConnectionsPage, EndConnections,
        EndedConnections, Page, Refusal, SetFlowCookie,
    },
    secret::{AuthorizationCode, FlowCookie, PkceVerifier, Secret, State},
};
use hubkey_store::keys::LookupMacKey;
use hubkey_store::{
    Change, Expect, Key, Outcome, Store, StoreError, length_prefixed, typed::Loaded,
};

use crate::{
    audit::{Event, EventKind},
    hub::{BrowserAuthenticator, BrowserError},
    use_cases::{
        base::Base,
        browser::{
            error_pages::{ErrorPages, reply},
            flow::{Browser, BrowserFlows},
            hub_login::{Admission, HubLogin, HubReturn, UserCheck},
            labels::Labels,
        },
        common::Common,
        connections::sign_out::SignOut,
        failure::KernelFailure,
        records::{Records, connections::ConnectionRecords, user_indexes::UserIndexes},
        rules::Rules,
    },
};

/// So many connections stand on one page; who ends some sees the next.
const MAX_ROWS: usize = 100;

/// Of a time in seconds, in hexadecimal: enough for 2,000 years.
const TIME_DIGITS: usize = 9;

const CLOCKS_APART: Duration = Duration::from_mins(1);

/// A browser on its way: the name of its cookie, and the cookie.
pub(crate) type PageVisit<'a> = (ShortId, &'a FlowCookie);

/// Shows a hub user their connections, and ends them.
#[derive(Debug)]
pub struct MyConnections {
    store: Arc<dyn Store>,
    browsers: Arc<dyn BrowserAuthenticator>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    lookup_mac_key: LookupMacKey,
    rules: Arc<Rules>,
    connections: Arc<ConnectionRecords>,
    error_pages: Arc<ErrorPages>,
    flows: Arc<BrowserFlows>,
    hub_login: Arc<HubLogin>,
    indexes: Arc<UserIndexes>,
    labels: Arc<Labels>,
    sign_out: Arc<SignOut>,
}

impl MyConnections {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        sign_out: &Arc<SignOut>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            browsers: Arc::clone(&base.browsers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            lookup_mac_key: base.lookup_mac_key.clone(),
            rules: Arc::clone(&base.rules),
            connections: Arc::clone(&records.connections),
            error_pages: Arc::clone(&common.error_pages),
            flows: Arc::clone(&common.flows),
            hub_login: Arc::clone(&common.hub_login),
            indexes: Arc::clone(&records.indexes),
            labels: Arc::clone(&common.labels),
            sign_out: Arc::clone(sign_out),
        }
    }

    /// Sends the browser to the Hub to say who its person is. Anybody may ask for that, so nothing is kept until the Hub
    /// has said it: what leads back is made of the browser's cookie.
    #[must_use]
    pub fn my_connections(&self) -> BrowserReply {
        let cookie = self.chance.flow_cookie();
        let visit = (self.chance.short_id(), &cookie);
        let state = self.state_of(&visit, self.clock.now());
        let location = self
            .browsers
            .authorize_url(&state, &self.verifier_of(&visit));
        BrowserReply {
            answer: BrowserAnswer::Redirect { location },
            set_cookie: Some(SetFlowCookie {
                flow: visit.0,
                value: cookie,
                max_age: self.rules.sign_in_lifetime.as_secs(),
            }),
            clear_cookie: None,
        }
    }

    /// It says when it was made, to the second.
    fn state_of(&self, (short, cookie): &PageVisit<'_>, made_at: Timestamp) -> State {
        let time = format!("{:0TIME_DIGITS$x}", made_at.as_secs());
        let parts = length_prefixed(&[short.as_str(), cookie.expose(), &time]);
        let random = URL_SAFE_NO_PAD.encode(self.lookup_mac_key.hash("visit-state", &parts));
        State::new(format!("{}.{time}{random}", short.as_str()))
    }

    fn verifier_of(&self, visit: &PageVisit<'_>) -> PkceVerifier {
        let (short, cookie) = visit;
        let parts = length_prefixed(&[short.as_str(), cookie.expose()]);
        PkceVerifier::new(
            URL_SAFE_NO_PAD.encode(self.lookup_mac_key.hash("visit-verifier", &parts)),
        )
    }

    /// The visit that this state belongs to, if the cookie is that of the same browser, and when it began.
    pub(crate) fn visit_of<'a>(
        &self,
        state: &State,
        cookie: Option<&'a FlowCookie>,
    ) -> Option<(PageVisit<'a>, Timestamp)> {
        let visit = (ShortId::of(state.expose()).ok()?, cookie?);
        let (_, made) = state.expose().split_once('.')?;
        let seconds = u64::from_str_radix(made.get(..TIME_DIGITS)?, 16).ok()?;
        let made_at = Timestamp::from_millis(seconds.checked_mul(1000)?);
        let same = self.state_of(&visit, made_at).matches(state);
        same.then_some((visit, made_at))
    }

    /// Whether a visit that began then may still go on. Replicas' clocks may be a little apart.
    fn is_recent(&self, began: Timestamp) -> bool {
        let now = self.clock.now();
        began <= now.after(CLOCKS_APART) && now < began.after(self.rules.sign_in_lifetime)
    }

    /// Back from the Hub, perhaps: this browser has been here.
    pub(crate) async fn hub_callback(
        &self,
        (visit, began): (PageVisit<'_>, Timestamp),
        code: Option<AuthorizationCode>,
        hub_return: HubReturn<'_>,
        source: Option<&str>,
    ) -> Result<BrowserReply, StoreError> {
        if !self.is_recent(began) {
            return Ok(self.error_pages.forbidden(source, "visit_too_old"));
        }
        let Some(code) = code else {
            return Ok(self.hub_login.refusal_page(BrowserError::Refused, source));
        };
        match self.hub_login.admit(hub_return).await {
            Ok(admission) => self.open_page(visit, (code, admission), source).await,
            Err(rejection) => Ok(self.hub_login.rejection_page(rejection, source)),
        }
    }

    /// The Hub's code is good once, and with this browser's verifier only.
    async fn open_page(
        &self,
        visit: PageVisit<'_>,
        (code, admission): (AuthorizationCode, Admission),
        source: Option<&str>,
    ) -> Result<BrowserReply, StoreError> {
        let (slot, permit) = admission.spend();
        let verifier = self.verifier_of(&visit);
        let (user, hub_token) = match self.browsers.redeem(permit, code, verifier).await {
            Ok(known) => known,
            // The slot is not refunded, whatever the reason: nobody knows who this is.
            Err(error) => return Ok(self.hub_login.refusal_page(error, source)),
        };
        slot.refund();
        let visiting = Visiting {
            user,
            hub_token,
            csrf: self.chance.csrf(),
            just_ended: None,
        };
        let (short, cookie) = visit;
        let flow = Flow {
            nonce: self.chance.nonce(&short),
            stage: FlowStage::Visiting(Box::new(visiting)),
            short: short.clone(),
        };
        let life = self.rules.sign_in_lifetime;
        let put = Change::put(Key::flow(&short, cookie), Expect::Absent, &flow, life)?;
        match self.store.commit(vec![put]).await? {
            Outcome::Done => Ok(reply(BrowserAnswer::Connections { flow: short })),
            Outcome::Conflict => Ok(self.error_pages.conflict(source)),
        }
    }

    /// The page, for as long as the Hub says that the browser is still its person's.
    pub(crate) async fn show_connections(
        &self,
        browser: Browser<'_>,
        visiting: Visiting,
    ) -> Result<BrowserReply, StoreError> {
        if let Some(refused) = self.refuse_other_user(&browser, &visiting).await? {
            return Ok(refused);
        }
        let found = self.live_connections(&visiting.user).await?;
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
            .flows
            .load(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, FlowStage::Visiting(mut visiting))) = opened else {
            return Ok(self.error_pages.forbidden(source, "flow_cookie"));
        };
        if !visiting.csrf.matches(&request.csrf) {
            return Ok(self.error_pages.forbidden(source, "csrf"));
        }
        if let Some(refused) = self.refuse_other_user(&browser, &visiting).await? {
            return Ok(refused);
        }
        let ended = match &request.connection {
            Some(id) => self.end_one(&visiting.user, id).await?,
            None => self.end_all(&visiting.user).await?,
        };
        visiting.just_ended = Some(ended);
        let put = browser.put(FlowStage::Visiting(visiting), self.rules.sign_in_lifetime)?;
        // In a second tab something else was ended at the same time, and is what the page shows.
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(reply(BrowserAnswer::Connections {
            flow: browser.short,
        }))
    }

    /// The refusal for a browser whose person the Hub does not vouch for any more.
    async fn refuse_other_user(
        &self,
        browser: &Browser<'_>,
        visiting: &Visiting,
    ) -> Result<Option<BrowserReply>, StoreError> {
        let word = match self
            .hub_login
            .check_user(&visiting.hub_token, &visiting.user)
            .await
        {
            UserCheck::Same => return Ok(None),
            UserCheck::Unknown => {
                return Ok(Some(self.error_pages.hub_unavailable(browser.source)));
            }
            UserCheck::Gone(word) => word,
        };
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![browser.delete()]).await?;
        let event = Event::new()
            .hub_user(&visiting.user)
            .source(browser.source)
            .reason(word);
        let refused =
            self.error_pages
                .refuse(Refusal::Forbidden, EventKind::HubUserMismatch, event);
        Ok(Some(BrowserReply {
            clear_cookie: Some(browser.short.clone()),
            ..refused
        }))
    }

    /// What a hub user has, newest first.
    async fn live_connections(&self, user: &HubUser) -> Result<Vec<Connection>, StoreError> {
        let index = self.indexes.load(user).await?;
        let ids = index.map(|loaded| loaded.value.ids()).unwrap_or_default();
        let mut all = Vec::new();
        for id in ids {
            let found = self
                .connections
                .load_newest(&id)
                .await?
                .map(|loaded: Loaded<_>| loaded.value);
            all.extend(found.filter(|one| is_live(one, user)));
        }
        Ok(all)
    }

    async fn end_one(
        &self,
        user: &HubUser,
        id: &ConnectionId,
    ) -> Result<EndedConnections, StoreError> {
        let found = self.connections.load_newest(id).await?;
        let Some(connection) = found
            .map(|loaded| loaded.value)
            .filter(|one| is_live(one, user))
        else {
            return Ok(EndedConnections::Nothing);
        };
        Ok(if self.end_connection(user, id).await? {
            EndedConnections::One {
                provider: self.labels.label(&connection.provider),
                account: connection.grant.account.label().to_owned(),
            }
        } else {
            EndedConnections::Nothing
        })
    }

    async fn end_all(&self, user: &HubUser) -> Result<EndedConnections, StoreError> {
        let mut count = 0;
        for connection in self.live_connections(user).await? {
            count += usize::from(self.end_connection(user, &connection.id).await?);
        }
        Ok(EndedConnections::All { count })
    }

    /// `false` where it had ended before.
    async fn end_connection(&self, user: &HubUser, id: &ConnectionId) -> Result<bool, StoreError> {
        let theirs = |connection: &Connection| connection.kernel.user.is(user);
        match self
            .sign_out
            .end_connection(id, theirs, "my_connections")
            .await
        {
            Ok(()) => Ok(true),
            Err(KernelFailure::NotFound) => Ok(false),
            Err(KernelFailure::Store(error)) => Err(error),
            Err(failure) => Err(StoreError::Unavailable(Box::new(failure))),
        }
    }

    fn row(&self, connection: &Connection) -> ConnectionRow {
        let servers = connection.servers();
        let used = connection
            .extended_at
            .max(connection.grant.tokens.obtained_at);
        ConnectionRow {
            id: connection.id.clone(),
            provider: self.labels.label(&connection.provider),
            account: connection.grant.account.label().to_owned(),
            servers: servers.map(|one| one.server.as_str().to_owned()).collect(),
            scopes: self
                .labels
                .labels_of(&connection.provider, &connection.grant.tokens.scopes),
            since: connection.since.as_secs(),
            last_used: used.as_secs(),
        }
    }
}

/// Whether it is known to be this hub user's, and may still bring a token.
fn is_live(connection: &Connection, user: &HubUser) -> bool {
    connection.kernel.user.is(user) && connection.renewal != RefreshState::Ended
}
