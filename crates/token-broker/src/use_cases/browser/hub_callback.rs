//! A browser came back from the Hub: the first of the three points that bind person, browser and server (SECURITY D3).

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    flow::{FlowStage, RedirectTarget, TicketRecord},
    identity::HubUser,
    random::RandomSource,
    sign_in::{SignIn, SignInState},
};
use hubkey_protocol::{
    ShortId,
    internal::{BrowserAnswer, BrowserReply, HubCallback, Refusal},
    secret::{AuthorizationCode, FlowCookie, HubAccessToken, PkceVerifier, Secret, State, Ticket},
};
use hubkey_store::{
    Change, Key, Outcome, Store, StoreError,
    typed::{Loaded, TypedStore},
};
use tokio_util::sync::CancellationToken;

use crate::{
    audit::{Event, EventKind},
    hub::{BrowserAuthenticator, BrowserError},
    use_cases::{
        base::Base,
        browser::{
            authorize::{AuthorizationContext, AuthorizationRedirect, RedirectMethod},
            error_pages::{ErrorPages, reply},
            flow::{Browser, BrowserFlows, CallbackMatch},
            hub_login::{Admission, HubLogin, HubReturn},
            my_connections::MyConnections,
        },
        common::Common,
        connect_span,
        records::{Records, sign_ins::SignInRecords},
        rules::Rules,
        sign_in::{
            account_link::AccountLinks,
            ending::{KernelOutcome, SignInEndings},
        },
    },
};

/// Takes a browser back from the Hub.
#[derive(Debug)]
pub struct HubCallbacks {
    store: Arc<dyn Store>,
    browsers: Arc<dyn BrowserAuthenticator>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    account_links: Arc<AccountLinks>,
    authorization: Arc<AuthorizationRedirect>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    flows: Arc<BrowserFlows>,
    hub_login: Arc<HubLogin>,
    my_connections: Arc<MyConnections>,
    sign_ins: Arc<SignInRecords>,
}

impl HubCallbacks {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        authorization: &Arc<AuthorizationRedirect>,
        my_connections: &Arc<MyConnections>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            browsers: Arc::clone(&base.browsers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            account_links: Arc::clone(&common.account_links),
            authorization: Arc::clone(authorization),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            flows: Arc::clone(&common.flows),
            hub_login: Arc::clone(&common.hub_login),
            my_connections: Arc::clone(my_connections),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Uses the ticket up, if the Hub says that the browser is the sign-in's hub user, and shows the start page or goes
    /// on to the provider. Until it is the browser's turn to be asked about nothing is used up; who has `gone` by then is
    /// not asked about.
    pub async fn hub_callback(
        &self,
        request: HubCallback,
        gone: &CancellationToken,
    ) -> Result<BrowserReply, StoreError> {
        let (source, cookie) = (request.source.as_deref(), request.flow_cookie.as_ref());
        let hub_return = HubReturn {
            sign_in: None,
            client: request.peer,
            gone,
        };
        if let Some(visit) = self.my_connections.visit_of(&request.state, cookie) {
            return self
                .my_connections
                .hub_callback(visit, request.code, hub_return, source)
                .await;
        }
        let live = self.live_flow(&request.state, cookie).await?;
        let sign_in = live.as_ref();
        let question = match request.code.filter(|_| sign_in.is_some()) {
            Some(code) => match self
                .hub_login
                .admit(HubReturn {
                    sign_in,
                    ..hub_return
                })
                .await
            {
                Ok(admission) => Some((code, admission)),
                Err(rejection) => return Ok(self.hub_login.rejection_page(rejection, source)),
            },
            None => None,
        };
        let arrival = self
            .flows
            .match_callback(&request.state, cookie, &RedirectTarget::Hub, source)
            .await?;
        let CallbackMatch::Matches(browser, FlowStage::AtHub { ticket, verifier }) = arrival else {
            return Ok(self.error_pages.forbidden(source, "hub_state_or_cookie"));
        };
        match question {
            Some((code, admission)) => {
                let grant = (code, verifier);
                self.back_from_hub(browser, grant, &ticket, admission).await
            }
            None if live.is_some() => {
                Ok(self.hub_login.refusal_page(BrowserError::Refused, source))
            }
            None => Ok(self.error_pages.invalid_link(source)),
        }
    }

    /// The sign-in that waits for this browser to come back from the Hub, if its cookie opens a flow of one.
    async fn live_flow(
        &self,
        state: &State,
        cookie: Option<&FlowCookie>,
    ) -> Result<Option<ShortId>, StoreError> {
        let Ok(short) = ShortId::of(state.expose()) else {
            return Ok(None);
        };
        let Some((browser, FlowStage::AtHub { .. })) =
            self.flows.load(&short, cookie, None).await?
        else {
            return Ok(None);
        };
        let now = self.clock.now();
        let waiting = self.sign_ins.load(&browser.nonce).await?.filter(|loaded| {
            matches!(loaded.value.state, SignInState::Created) && !loaded.value.is_expired(now)
        });
        Ok(waiting.map(|_| short))
    }

    async fn back_from_hub(
        &self,
        browser: Browser<'_>,
        (code, verifier): (AuthorizationCode, PkceVerifier),
        ticket: &Ticket,
        admission: Admission,
    ) -> Result<BrowserReply, StoreError> {
        let (slot, permit) = admission.spend();
        let answer = self.browsers.redeem(permit, code, verifier).await;
        if !matches!(answer, Err(BrowserError::Refused)) {
            slot.refund();
        }
        match answer {
            Ok((user, hub_token)) => self.claim(browser, &user, hub_token, ticket).await,
            Err(error) => Ok(self.hub_login.refusal_page(error, browser.source)),
        }
    }

    async fn claim(
        &self,
        browser: Browser<'_>,
        user: &HubUser,
        hub_token: HubAccessToken,
        ticket: &Ticket,
    ) -> Result<BrowserReply, StoreError> {
        let Some((loaded, further_changes)) = self.waiting_for(&browser, ticket).await? else {
            return Ok(self.error_pages.invalid_link(browser.source));
        };
        if !loaded.value.kernel.user.may_be(user) {
            return self
                .invalidate_link(browser, loaded, user, further_changes)
                .await;
        }
        if loaded.value.is_expired(self.clock.now()) {
            return Ok(self.error_pages.invalid_link(browser.source));
        }
        let Ok(claimed) = loaded.try_map(|sign_in| sign_in.claim(browser.fingerprint)) else {
            return Ok(self.error_pages.invalid_link(browser.source));
        };
        Event::for_sign_in(&claimed.value)
            .source(browser.source)
            .emit(EventKind::LinkOpened);
        if self.asks_first(&claimed.value).await? {
            self.ask_first(browser, claimed, hub_token, further_changes)
                .await
        } else {
            let context = AuthorizationContext {
                hub_token,
                method: RedirectMethod::Redirect,
                further_changes: vec![further_changes],
            };
            self.authorization.redirect(browser, claimed, context).await
        }
    }

    /// The sign-in that waits for this ticket, and the change that uses the ticket up.
    async fn waiting_for(
        &self,
        browser: &Browser<'_>,
        ticket: &Ticket,
    ) -> Result<Option<(Loaded<SignIn>, Change)>, StoreError> {
        let key = Key::ticket(&browser.short, ticket);
        let (sign_in, record) = self
            .store
            .load_pair::<SignIn, TicketRecord>(&Key::sign_in(&browser.nonce), &key)
            .await?;
        let sign_in = sign_in.inspect(|loaded| connect_span::join(&loaded.value));
        Ok(sign_in
            .zip(record)
            .map(|(sign_in, record)| (sign_in, Change::delete(key, record.generation))))
    }

    /// The link was opened by another hub user: it is burned, and the page does not say so (SECURITY B1).
    async fn invalidate_link(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        user: &HubUser,
        further_changes: Change,
    ) -> Result<BrowserReply, StoreError> {
        let reference = self.chance.reference();
        Event::for_sign_in(&loaded.value)
            .actor(user.as_str())
            .source(browser.source)
            .reference(&reference)
            .emit(EventKind::LinkOpenedByOtherUser);
        self.endings
            .end_sign_in(
                loaded,
                KernelOutcome::Denied,
                vec![further_changes, browser.delete()],
            )
            .await?;
        let answer = BrowserAnswer::Refused {
            refusal: Refusal::InvalidLink,
            reference,
        };
        Ok(BrowserReply {
            answer,
            set_cookie: None,
            clear_cookie: Some(browser.short),
        })
    }

    /// Shows the start page.
    async fn ask_first(
        &self,
        browser: Browser<'_>,
        claimed: Loaded<SignIn>,
        hub_token: HubAccessToken,
        further_changes: Change,
    ) -> Result<BrowserReply, StoreError> {
        let stage = FlowStage::Asked {
            hub_token,
            csrf: self.chance.csrf(),
        };
        let changes = vec![
            further_changes,
            browser.put(stage, self.rules.sign_in_lifetime)?,
            self.sign_ins.put(&claimed)?,
        ];
        match self.store.commit(changes).await? {
            Outcome::Done => Ok(reply(BrowserAnswer::View {
                flow: browser.short,
            })),
            Outcome::Conflict => Ok(self.error_pages.invalid_link(browser.source)),
        }
    }

    /// Whether to ask the person before going to the provider: on a shared origin, where nothing asks afterwards.
    async fn asks_first(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        Ok(self.rules.shared_origin && !self.account_links.will_confirm(sign_in).await?)
    }
}
