//! The browser at hand: which flow its cookie opens, and how that flow moves on.

use std::time::Duration;

use hubkey_protocol::{
    Nonce, ShortId,
    secret::{FlowCookie, HubAccessToken, Secret, State},
};

use super::Flows;
use crate::{
    domain::{
        flow::{Flow, FlowStage, Leg, StateRecord},
        kernel::HubUser,
        keyed_hash::KeyedHash,
    },
    hub::BrowserError,
    store::{
        Change, Expect, Key, Outcome, StoreError,
        typed::{Loaded, TypedStore},
    },
};

/// A browser with a flow cookie that opens a flow.
#[derive(Clone)]
pub(super) struct Browser<'a> {
    pub cookie: &'a FlowCookie,
    /// Of the cookie.
    pub fingerprint: KeyedHash,
    pub short: ShortId,
    pub nonce: Nonce,
    pub source: Option<&'a str>,
    generation: u64,
}

impl Browser<'_> {
    fn key(&self) -> Key {
        Key::flow(&self.short, self.cookie)
    }

    /// The change that moves this flow on.
    pub(super) fn put(&self, stage: FlowStage, life: Duration) -> Result<Change, StoreError> {
        let flow = Flow {
            short: self.short.clone(),
            nonce: self.nonce.clone(),
            stage,
        };
        Change::put(self.key(), Expect::Generation(self.generation), &flow, life)
    }

    /// The change that ends this flow.
    pub(super) fn delete(&self) -> Change {
        Change::delete(self.key(), self.generation)
    }
}

/// What a state and a cookie that came back together say.
pub(super) enum Arrival<'a> {
    /// They belong together, and the state leads back from where it was sent to. It is used up.
    Fits(Browser<'a>, FlowStage),
    /// A provider's state of this sign-in came without its cookie or from elsewhere: it is in the wrong browser. It is
    /// used up.
    Strange(Nonce),
    /// No such state, or used before. Or one on the way to the Hub in the wrong browser: whoever opens a link gets
    /// such a state, before anybody knows who that is, so it says nothing of the sign-in (SECURITY Q15).
    Unknown,
}

/// What the Hub says now of a browser that it knew before.
pub(super) enum Presence {
    /// Still the same hub user.
    Same,
    /// Another hub user, or logged out; the word says which.
    Gone(&'static str),
    /// The Hub did not answer.
    Unknown,
}

impl Flows {
    /// Asks the Hub again who the browser is.
    pub(super) async fn presence(&self, hub_token: &HubAccessToken, user: &HubUser) -> Presence {
        match self.browsers.ask_again(hub_token).await {
            Ok(now) if now.may_be(user) => Presence::Same,
            Ok(_) => Presence::Gone("other_user"),
            Err(BrowserError::Refused) => Presence::Gone("logged_out"),
            Err(BrowserError::HubUnavailable) => Presence::Unknown,
        }
    }

    /// The flow of a page.
    pub(super) async fn browser<'a>(
        &self,
        short: &ShortId,
        cookie: Option<&'a FlowCookie>,
        source: Option<&'a str>,
    ) -> Result<Option<(Browser<'a>, FlowStage)>, StoreError> {
        let Some(cookie) = cookie else {
            return Ok(None);
        };
        let flow: Option<Loaded<Flow>> = self.store.load(&Key::flow(short, cookie)).await?;
        Ok(flow.map(|flow| self.opened(flow, cookie, source)))
    }

    /// The flow of a redirect that came back. The state is used up in any case where it exists: exactly one of
    /// concurrent requests gets to use it.
    pub(super) async fn arrival<'a>(
        &self,
        state: &State,
        cookie: Option<&'a FlowCookie>,
        leg: &Leg,
        source: Option<&'a str>,
    ) -> Result<Arrival<'a>, StoreError> {
        let Ok(short) = ShortId::of(state.expose()) else {
            return Ok(Arrival::Unknown);
        };
        let key = Key::state(&short, state);
        let (record, flow) = self.state_and_flow(&short, &key, cookie).await?;
        let Some(record) = record else {
            return Ok(Arrival::Unknown);
        };
        if self
            .store
            .commit(vec![Change::delete(key, record.generation)])
            .await?
            == Outcome::Conflict
        {
            return Ok(Arrival::Unknown);
        }
        let record = record.value;
        if let (Some(flow), Some(cookie)) = (flow, cookie) {
            let (browser, at) = self.opened(flow, cookie, source);
            if record.leg == *leg && record.flow.matches(&browser.fingerprint) {
                return Ok(Arrival::Fits(browser, at));
            }
        }
        Ok(match record.leg {
            Leg::Provider { .. } => Arrival::Strange(record.nonce),
            Leg::Hub => Arrival::Unknown,
        })
    }

    async fn state_and_flow(
        &self,
        short: &ShortId,
        state: &Key,
        cookie: Option<&FlowCookie>,
    ) -> Result<(Option<Loaded<StateRecord>>, Option<Loaded<Flow>>), StoreError> {
        match cookie {
            Some(cookie) => self.store.load_pair(state, &Key::flow(short, cookie)).await,
            None => Ok((self.store.load(state).await?, None)),
        }
    }

    fn opened<'a>(
        &self,
        flow: Loaded<Flow>,
        cookie: &'a FlowCookie,
        source: Option<&'a str>,
    ) -> (Browser<'a>, FlowStage) {
        let browser = Browser {
            cookie,
            fingerprint: self.flow_fingerprint(cookie),
            short: flow.value.short,
            nonce: flow.value.nonce,
            source,
            generation: flow.generation,
        };
        (browser, flow.value.stage)
    }

    pub(super) fn flow_fingerprint(&self, cookie: &FlowCookie) -> KeyedHash {
        self.fingerprint("flow-cookie", cookie)
    }
}
