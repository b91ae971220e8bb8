//! A browser opened a sign-in link. Nothing is used up: the browser may be a link preview, or somebody else's.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    flow::{Flow, FlowStage, RedirectTarget, StateRecord, TicketRecord},
    random::RandomSource,
    sign_in::{SignIn, SignInState},
};
use hubkey_protocol::{
    ShortId,
    internal::{BrowserAnswer, BrowserReply, OpenLink, Refusal, SetFlowCookie},
    secret::Secret,
};
use hubkey_store::keys::LookupMacKey;
use hubkey_store::{
    Change, Expect, Key, Outcome, Store, StoreError,
    typed::{Loaded, TypedStore},
};

use crate::{
    audit::{Event, EventKind},
    hub::BrowserAuthenticator,
    use_cases::{
        base::Base,
        browser::error_pages::ErrorPages,
        common::Common,
        records::{Records, sign_ins::SignInRecords},
        rules::Rules,
    },
};

/// Opens the link of a sign-in.
#[derive(Debug)]
pub struct StartSignIn {
    store: Arc<dyn Store>,
    browsers: Arc<dyn BrowserAuthenticator>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    lookup_mac_key: LookupMacKey,
    rules: Arc<Rules>,
    error_pages: Arc<ErrorPages>,
    sign_ins: Arc<SignInRecords>,
}

impl StartSignIn {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            browsers: Arc::clone(&base.browsers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            lookup_mac_key: base.lookup_mac_key.clone(),
            rules: Arc::clone(&base.rules),
            error_pages: Arc::clone(&common.error_pages),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Ties the browser to a new flow and sends it to the Hub to say who its person is.
    pub async fn start(&self, request: OpenLink) -> Result<BrowserReply, StoreError> {
        let Some(sign_in) = self.sign_in_of_ticket(&request).await? else {
            return Ok(self.invalid_link(&request));
        };
        let chance = &self.chance;
        let short = sign_in.nonce.short();
        let (cookie, state, verifier) = (
            chance.flow_cookie(),
            chance.state(&short),
            chance.pkce_verifier(),
        );
        let location = self.browsers.authorize_url(&state, &verifier);
        let record = StateRecord {
            nonce: sign_in.nonce.clone(),
            flow: self.lookup_mac_key.keyed_hash("flow-cookie", &cookie),
            leg: RedirectTarget::Hub,
        };
        let flow = Flow {
            short: short.clone(),
            nonce: sign_in.nonce,
            stage: FlowStage::AtHub {
                ticket: request.ticket,
                verifier,
            },
        };
        let life = self.rules.sign_in_lifetime;
        let changes = vec![
            Change::put(Key::flow(&short, &cookie), Expect::Absent, &flow, life)?,
            Change::put(Key::state(&short, &state), Expect::Absent, &record, life)?,
        ];
        if self.store.commit(changes).await? == Outcome::Conflict {
            let (refusal, event) = (Refusal::Unavailable, Event::new().reason("conflict"));
            let pages = &self.error_pages;
            return Ok(pages.refuse(refusal, EventKind::PolicyDenied, event));
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

    fn invalid_link(&self, request: &OpenLink) -> BrowserReply {
        let event = Event::new()
            .source(request.source.as_deref())
            .reason("unknown_ticket");
        self.error_pages
            .refuse(Refusal::InvalidLink, EventKind::PolicyDenied, event)
    }

    /// The sign-in of a live ticket.
    async fn sign_in_of_ticket(&self, request: &OpenLink) -> Result<Option<SignIn>, StoreError> {
        let Ok(short) = ShortId::of(request.ticket.expose()) else {
            return Ok(None);
        };
        let ticket: Option<Loaded<TicketRecord>> = self
            .store
            .load(&Key::ticket(&short, &request.ticket))
            .await?;
        let Some(ticket) = ticket else {
            return Ok(None);
        };
        let sign_in = self
            .sign_ins
            .load(&ticket.value.nonce)
            .await?
            .map(|loaded| loaded.value);
        let now = self.clock.now();
        Ok(sign_in.filter(|sign_in| {
            matches!(sign_in.state, SignInState::Created) && !sign_in.is_expired(now)
        }))
    }
}
