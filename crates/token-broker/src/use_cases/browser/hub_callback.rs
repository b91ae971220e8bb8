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
    secret::{AuthorizationCode, HubAccessToken, PkceVerifier, Secret, Ticket},
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
            early_exit::EarlyExit,
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
    /// on to the provider. Who has `gone` by the time that the Hub may be asked is not asked about.
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
        let done = self.steps(request, hub_return).await;
        done.or_else(EarlyExit::into_reply)
    }

    /// The steps between the Hub's redirect and the next page, in this order. The first that stops refuses the browser;
    /// none after it runs.
    ///
    /// 1. The cookie opens the flow of a sign-in that waits for this browser, or it is an unknown browser. Nothing is
    ///    used up.
    /// 2. Where there is a code to redeem, a permit to ask the Hub. Nothing is used up: the page may be loaded again.
    /// 3. State and flow cookie belong together, and the state leads back from the Hub (RFC 6749 section 10.12). The
    ///    state is used up.
    /// 4. The code is redeemed with this flow's verifier (RFC 7636), and the Hub says who the browser is.
    /// 5. The link is good still, and that is its hub user; for another hub user it ends. The sign-in is claimed.
    /// 6. The start page, or on to the provider. The ticket is used up: of concurrent callbacks one comes so far.
    async fn steps(
        &self,
        mut request: HubCallback,
        hub_return: HubReturn<'_>,
    ) -> Result<BrowserReply, EarlyExit> {
        let code = request.code.take();
        let live = self.live_flow(&request).await?;
        let question = self
            .admit(code, live.as_ref(), hub_return, &request)
            .await?;
        let (browser, ticket, verifier) = self.match_browser(&request).await?;
        let (user, hub_token) = match question {
            Some(question) => self.redeem(&browser, question, verifier).await?,
            None => return Err(self.nothing_to_redeem(&browser, live.is_some()).into()),
        };
        let (claimed, consume_ticket) = self.claim(&browser, &user, &ticket).await?;
        if self.asks_first(&claimed.value).await? {
            return self
                .show_start_page(browser, claimed, hub_token, consume_ticket)
                .await;
        }
        let context = AuthorizationContext {
            hub_token,
            method: RedirectMethod::Redirect,
            further_changes: vec![consume_ticket],
        };
        Ok(self
            .authorization
            .redirect(browser, claimed, context)
            .await?)
    }

    /// The sign-in that waits for this browser to come back from the Hub, if its cookie opens a flow of one.
    async fn live_flow(&self, request: &HubCallback) -> Result<Option<ShortId>, EarlyExit> {
        let Ok(short) = ShortId::of(request.state.expose()) else {
            return Ok(None);
        };
        let cookie = request.flow_cookie.as_ref();
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

    /// The code with a permit for its question; nothing where there is no code, or no sign-in that waits.
    async fn admit(
        &self,
        code: Option<AuthorizationCode>,
        sign_in: Option<&ShortId>,
        hub_return: HubReturn<'_>,
        request: &HubCallback,
    ) -> Result<Option<(AuthorizationCode, Admission)>, EarlyExit> {
        let Some(code) = code.filter(|_| sign_in.is_some()) else {
            return Ok(None);
        };
        let hub_return = HubReturn {
            sign_in,
            ..hub_return
        };
        match self.hub_login.admit(hub_return).await {
            Ok(admission) => Ok(Some((code, admission))),
            Err(rejection) => {
                let source = request.source.as_deref();
                Err(self.hub_login.rejection_page(rejection, source).into())
            }
        }
    }

    async fn match_browser<'a>(
        &self,
        request: &'a HubCallback,
    ) -> Result<(Browser<'a>, Ticket, PkceVerifier), EarlyExit> {
        let (source, cookie) = (request.source.as_deref(), request.flow_cookie.as_ref());
        let matched = self
            .flows
            .match_callback(&request.state, cookie, &RedirectTarget::Hub, source)
            .await?;
        match matched {
            CallbackMatch::Matches(browser, FlowStage::AtHub { ticket, verifier }) => {
                Ok((browser, ticket, verifier))
            }
            CallbackMatch::Matches(..)
            | CallbackMatch::WrongBrowser(_)
            | CallbackMatch::Unknown => {
                let pages = &self.error_pages;
                Err(pages.forbidden(source, "hub_state_or_cookie").into())
            }
        }
    }

    /// The Hub gave no code, or the link is not good any more.
    fn nothing_to_redeem(&self, browser: &Browser<'_>, waits: bool) -> BrowserReply {
        if waits {
            self.hub_login
                .refusal_page(BrowserError::Refused, browser.source)
        } else {
            self.error_pages.invalid_link(browser.source)
        }
    }

    async fn redeem(
        &self,
        browser: &Browser<'_>,
        (code, admission): (AuthorizationCode, Admission),
        verifier: PkceVerifier,
    ) -> Result<(HubUser, HubAccessToken), EarlyExit> {
        let (slot, permit) = admission.spend();
        let answer = self.browsers.redeem(permit, code, verifier).await;
        if !matches!(answer, Err(BrowserError::Refused)) {
            slot.refund();
        }
        answer.map_err(|error| self.hub_login.refusal_page(error, browser.source).into())
    }

    /// `created → claimed`, and the change that uses the ticket up; both are not written yet.
    async fn claim(
        &self,
        browser: &Browser<'_>,
        user: &HubUser,
        ticket: &Ticket,
    ) -> Result<(Loaded<SignIn>, Change), EarlyExit> {
        let invalid_link = || EarlyExit::from(self.error_pages.invalid_link(browser.source));
        let (sign_in, consume_ticket) = self
            .waiting_for(browser, ticket)
            .await?
            .ok_or_else(invalid_link)?;
        if !sign_in.value.kernel.user.may_be(user) {
            let changes = vec![consume_ticket, browser.delete()];
            let refused = self.invalidate_link(browser, sign_in, user, changes);
            return Err(refused.await?.into());
        }
        if sign_in.value.is_expired(self.clock.now()) {
            return Err(invalid_link());
        }
        let claimed = sign_in
            .try_map(|sign_in| sign_in.claim(browser.fingerprint))
            .map_err(|_| invalid_link())?;
        Event::for_sign_in(&claimed.value)
            .source(browser.source)
            .emit(EventKind::LinkOpened);
        Ok((claimed, consume_ticket))
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

    /// The link was opened by another hub user: it ends, and the page does not say so (SECURITY B1).
    async fn invalidate_link(
        &self,
        browser: &Browser<'_>,
        sign_in: Loaded<SignIn>,
        user: &HubUser,
        changes: Vec<Change>,
    ) -> Result<BrowserReply, StoreError> {
        let reference = self.chance.reference();
        Event::for_sign_in(&sign_in.value)
            .actor(user.as_str())
            .source(browser.source)
            .reference(&reference)
            .emit(EventKind::LinkOpenedByOtherUser);
        self.endings
            .end_sign_in(sign_in, KernelOutcome::Denied, changes)
            .await?;
        let answer = BrowserAnswer::Refused {
            refusal: Refusal::InvalidLink,
            reference,
        };
        Ok(BrowserReply {
            answer,
            set_cookie: None,
            clear_cookie: Some(browser.short.clone()),
        })
    }

    async fn show_start_page(
        &self,
        browser: Browser<'_>,
        claimed: Loaded<SignIn>,
        hub_token: HubAccessToken,
        consume_ticket: Change,
    ) -> Result<BrowserReply, EarlyExit> {
        let stage = FlowStage::Asked {
            hub_token,
            csrf: self.chance.csrf(),
        };
        let changes = vec![
            consume_ticket,
            browser.put(stage, self.rules.sign_in_lifetime)?,
            self.sign_ins.put(&claimed)?,
        ];
        match self.store.commit(changes).await? {
            Outcome::Done => Ok(reply(BrowserAnswer::View {
                flow: browser.short,
            })),
            Outcome::Conflict => Err(self.error_pages.invalid_link(browser.source).into()),
        }
    }

    /// Whether to ask the person before going to the provider: on a shared origin, where nothing asks afterwards.
    async fn asks_first(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        Ok(self.rules.shared_origin && !self.account_links.will_confirm(sign_in).await?)
    }
}
