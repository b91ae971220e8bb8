//! A browser opened a sign-in link. Nothing is used up: the browser may be a link preview, or somebody else's.

use hubkey_protocol::{
    ShortId,
    internal::{BrowserAnswer, BrowserReply, Refusal, SetFlowCookie, Start},
    secret::Secret,
};

use super::Flows;
use crate::{
    audit::{Event, What},
    domain::{
        flow::{Flow, FlowStage, Leg, StateRecord, TicketRecord},
        sign_in::{SignIn, SignInState},
    },
    store::{
        Change, Expect, Key, Outcome, StoreError,
        typed::{Loaded, TypedStore},
    },
};

impl Flows {
    /// Ties the browser to a new flow and sends it to the Hub to say who its person is.
    pub async fn start(&self, request: Start) -> Result<BrowserReply, StoreError> {
        let Some(sign_in) = self.waiting(&request).await? else {
            let event = Event::new()
                .source(request.source.as_deref())
                .reason("unknown_ticket");
            return Ok(self.refuse(Refusal::DeadLink, What::PolicyDenied, event));
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
            flow: self.fingerprint("flow-cookie", &cookie),
            leg: Leg::Hub,
        };
        let flow = Flow {
            short: short.clone(),
            nonce: sign_in.nonce,
            stage: FlowStage::AtHub {
                ticket: request.ticket,
                verifier,
            },
        };
        let life = self.rules.sign_in_life;
        let changes = vec![
            Change::put(Key::flow(&short, &cookie), Expect::Absent, &flow, life)?,
            Change::put(Key::state(&short, &state), Expect::Absent, &record, life)?,
        ];
        match self.store.commit(changes).await? {
            Outcome::Done => Ok(BrowserReply {
                answer: BrowserAnswer::Redirect { location },
                set_cookie: Some(SetFlowCookie {
                    flow: short,
                    value: cookie,
                    max_age: life.as_secs(),
                }),
                clear_cookie: None,
            }),
            Outcome::Conflict => Ok(self.refuse(
                Refusal::Unavailable,
                What::PolicyDenied,
                Event::new().reason("conflict"),
            )),
        }
    }

    /// The sign-in of a live ticket.
    async fn waiting(&self, request: &Start) -> Result<Option<SignIn>, StoreError> {
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
            .sign_in(&ticket.value.nonce)
            .await?
            .map(|loaded| loaded.value);
        let now = self.clock.now();
        Ok(sign_in.filter(|sign_in| {
            matches!(sign_in.state, SignInState::Created) && !sign_in.is_expired(now)
        }))
    }
}
