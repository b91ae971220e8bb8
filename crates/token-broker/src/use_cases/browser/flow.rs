//! The browser at hand: which flow its cookie opens, and how that flow moves on.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    flow::{Flow, FlowStage, RedirectTarget, StateRecord},
    keyed_hash::KeyedHash,
};
use hubkey_protocol::{
    Nonce, ShortId,
    secret::{FlowCookie, Secret, State},
};
use hubkey_store::keys::LookupMacKey;
use hubkey_store::{
    Change, Expect, Key, Outcome, Store, StoreError,
    typed::{Loaded, TypedStore},
};

use crate::use_cases::base::Base;

/// A browser with a flow cookie that opens a flow.
#[derive(Clone)]
pub(crate) struct Browser<'a> {
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
    pub(crate) fn put(&self, stage: FlowStage, life: Duration) -> Result<Change, StoreError> {
        let flow = Flow {
            short: self.short.clone(),
            nonce: self.nonce.clone(),
            stage,
        };
        Change::put(self.key(), Expect::Generation(self.generation), &flow, life)
    }

    /// The change that ends this flow.
    pub(crate) fn delete(&self) -> Change {
        Change::delete(self.key(), self.generation)
    }
}

/// What a state and a cookie that came back together say.
pub(crate) enum CallbackMatch<'a> {
    /// They belong together, and the state leads back from where it was sent to. It is used up.
    Matches(Browser<'a>, FlowStage),
    /// A provider's state of this sign-in came without its cookie or from elsewhere: it is in the wrong browser. It is
    /// used up.
    WrongBrowser(Nonce),
    /// No such state, or used before. Or one on the way to the Hub in the wrong browser: whoever opens a link gets
    /// such a state, before anybody knows who that is, so it says nothing of the sign-in (SECURITY Q15).
    Unknown,
}

/// Finds the flow of a browser by its cookie, and the one that a redirect belongs to.
#[derive(Debug)]
pub(crate) struct BrowserFlows {
    store: Arc<dyn Store>,
    lookup_mac_key: LookupMacKey,
}

impl BrowserFlows {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            lookup_mac_key: base.lookup_mac_key.clone(),
        }
    }

    /// The flow of a page.
    pub(crate) async fn load<'a>(
        &self,
        short: &ShortId,
        cookie: Option<&'a FlowCookie>,
        source: Option<&'a str>,
    ) -> Result<Option<(Browser<'a>, FlowStage)>, StoreError> {
        let Some(cookie) = cookie else {
            return Ok(None);
        };
        let flow: Option<Loaded<Flow>> = self.store.load(&Key::flow(short, cookie)).await?;
        Ok(flow.map(|flow| self.browser_of(flow, cookie, source)))
    }

    /// The flow of a redirect that came back. The state is used up in any case where it exists: exactly one of
    /// concurrent requests gets to use it.
    pub(crate) async fn match_callback<'a>(
        &self,
        state: &State,
        cookie: Option<&'a FlowCookie>,
        leg: &RedirectTarget,
        source: Option<&'a str>,
    ) -> Result<CallbackMatch<'a>, StoreError> {
        let Ok(short) = ShortId::of(state.expose()) else {
            return Ok(CallbackMatch::Unknown);
        };
        let key = Key::state(&short, state);
        let (record, flow) = self.state_and_flow(&short, &key, cookie).await?;
        let Some(record) = record else {
            return Ok(CallbackMatch::Unknown);
        };
        if self
            .store
            .commit(vec![Change::delete(key, record.generation)])
            .await?
            == Outcome::Conflict
        {
            return Ok(CallbackMatch::Unknown);
        }
        let record = record.value;
        if let (Some(flow), Some(cookie)) = (flow, cookie) {
            let (browser, at) = self.browser_of(flow, cookie, source);
            if record.leg == *leg && record.flow.matches(&browser.fingerprint) {
                return Ok(CallbackMatch::Matches(browser, at));
            }
        }
        Ok(match record.leg {
            RedirectTarget::Provider { .. } => CallbackMatch::WrongBrowser(record.nonce),
            RedirectTarget::Hub => CallbackMatch::Unknown,
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

    fn browser_of<'a>(
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

    fn flow_fingerprint(&self, cookie: &FlowCookie) -> KeyedHash {
        self.lookup_mac_key.keyed_hash("flow-cookie", cookie)
    }
}
