//! Whether the Hub is asked who a browser is: before the question, and before anything is used up for it.
//!
//! Everybody can come back from the Hub with an invented code, and each one costs the Hub a question. So a browser with the
//! cookie of a live sign-in's flow and one of which nothing is known are counted apart and have permits apart (SECURITY Q7).

use std::{net::IpAddr, sync::Arc, time::Duration};

use hubkey_domain::{identity::HubUser, random::RandomSource};
use hubkey_protocol::{
    ShortId,
    internal::{BrowserAnswer, BrowserReply, Refusal},
    secret::HubAccessToken,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::{Event, EventKind},
    hub::{
        BrowserAuthenticator, BrowserError, HubPermit, Visitor,
        failure_limiter::{FailureLimiter, Rate, Rates, Slot, network_of_client},
    },
    use_cases::{
        base::Base,
        browser::error_pages::{ErrorPages, reply},
    },
};

/// Browsers of which nobody knows anything yet. What they cost the Hub is little, and they share it.
const UNKNOWN_BROWSERS: Rates = Rates {
    per_client: Rate {
        interval: Duration::from_secs(1),
        burst: 10,
    },
    total: Rate {
        interval: Duration::from_millis(200),
        burst: 20,
    },
};

/// Browsers with the cookie of a live sign-in's flow, by sign-in and address. Only a hub user makes sign-ins.
const SIGN_INS: Rates = Rates {
    per_client: Rate {
        interval: Duration::from_secs(5),
        burst: 5,
    },
    total: Rate {
        interval: Duration::from_millis(50),
        burst: 100,
    },
};

/// How long a browser waits for its turn. Nobody watches an empty page for longer.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// A browser that came back from the Hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubReturn<'a> {
    /// The sign-in whose flow its cookie opens; absent where nothing is known.
    pub(crate) sign_in: Option<&'a ShortId>,
    /// What its address is counted by, if that says anything.
    pub(crate) client: Option<IpAddr>,
    /// Ends when who asks for the browser has gone.
    pub(crate) gone: &'a CancellationToken,
}

/// The Hub may be asked.
#[derive(Debug)]
pub(crate) struct Admission {
    reserved: ReservedSlot,
    permit: HubPermit,
}

/// Why the Hub is not asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rejection {
    /// Too many failed.
    TooMany,
    /// Nobody's fault: too many are before this one.
    Busy,
    /// Nobody waits for the answer any more.
    Gone,
}

/// A slot that is refunded unless a question is asked for it.
#[derive(Debug)]
struct ReservedSlot(Option<Slot>);

/// A question was asked: its slot counts, unless the question turns out to have cost nothing.
#[derive(Debug)]
pub(crate) struct SpentSlot(Option<Slot>);

impl Drop for ReservedSlot {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.refund();
        }
    }
}

impl Admission {
    /// Now the question is asked.
    pub(crate) fn spend(mut self) -> (SpentSlot, HubPermit) {
        (SpentSlot(self.reserved.0.take()), self.permit)
    }
}

impl SpentSlot {
    /// The Hub said who it is, or did not answer.
    pub(crate) fn refund(self) {
        if let Some(slot) = self.0 {
            slot.refund();
        }
    }
}

impl HubReturn<'_> {
    fn visitor(&self) -> Visitor {
        match self.sign_in {
            Some(_) => Visitor::SignIn,
            None => Visitor::Unknown,
        }
    }
}

impl Rejection {
    fn outcome(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::Busy => "busy",
            Self::Gone => "gone",
        }
    }
}

/// What the Hub says now of a browser that it knew before.
pub(crate) enum UserCheck {
    /// Still the same hub user.
    Same,
    /// Another hub user, or logged out; the word says which.
    Gone(&'static str),
    /// The Hub did not answer.
    Unknown,
}

/// Asks the Hub who a browser is.
#[derive(Debug)]
pub(crate) struct HubLogin {
    browsers: Arc<dyn BrowserAuthenticator>,
    chance: Arc<dyn RandomSource>,
    unknown_browsers: FailureLimiter,
    sign_ins: FailureLimiter<(ShortId, Option<IpAddr>)>,
    error_pages: Arc<ErrorPages>,
}

impl HubLogin {
    pub(crate) fn new(base: &Base, error_pages: &Arc<ErrorPages>) -> Self {
        Self {
            browsers: Arc::clone(&base.browsers),
            chance: Arc::clone(&base.chance),
            unknown_browsers: FailureLimiter::with(Arc::clone(&base.clock), UNKNOWN_BROWSERS),
            sign_ins: FailureLimiter::with(Arc::clone(&base.clock), SIGN_INS),
            error_pages: Arc::clone(error_pages),
        }
    }

    /// Waits until the Hub may be asked, and no longer than its browser does.
    pub(crate) async fn admit(&self, hub_return: HubReturn<'_>) -> Result<Admission, Rejection> {
        let admission = tokio::select! {
            () = hub_return.gone.cancelled() => Err(Rejection::Gone),
            admission = timeout(QUEUE_TIMEOUT, self.acquire(hub_return)) => {
                admission.unwrap_or(Err(Rejection::Busy))
            }
        };
        let outcome = match &admission {
            Ok(_) => "asked",
            Err(rejection) => rejection.outcome(),
        };
        let visitor = match hub_return.visitor() {
            Visitor::SignIn => "sign_in",
            Visitor::Unknown => "unknown",
        };
        metrics::counter!("hubkey_browser_questions_total", "visitor" => visitor, "outcome" => outcome)
            .increment(1);
        admission
    }

    async fn acquire(&self, hub_return: HubReturn<'_>) -> Result<Admission, Rejection> {
        let slot = match hub_return.sign_in {
            Some(short) => {
                let one = (short.clone(), network_of_client(hub_return.client));
                self.sign_ins.acquire_for(Some(one)).await
            }
            None => self.unknown_browsers.acquire(hub_return.client).await,
        };
        let reserved = ReservedSlot(Some(slot.ok_or(Rejection::TooMany)?));
        let permit = self.browsers.acquire(hub_return.visitor()).await;
        Ok(Admission {
            reserved,
            permit: permit.map_err(|_| Rejection::Busy)?,
        })
    }

    /// What the browser sees. Nothing was used up: the same page may be loaded again.
    pub(crate) fn rejection_page(
        &self,
        rejection: Rejection,
        source: Option<&str>,
    ) -> BrowserReply {
        match rejection {
            Rejection::TooMany => {
                let event = Event::new().source(source).reason("too_many_questions");
                self.error_pages
                    .refuse(Refusal::RateLimited, EventKind::PolicyDenied, event)
            }
            Rejection::Busy => self.error_pages.hub_unavailable(source),
            // Nobody reads it.
            Rejection::Gone => reply(BrowserAnswer::Refused {
                refusal: Refusal::Unavailable,
                reference: self.chance.reference(),
            }),
        }
    }

    /// Asks the Hub again who the browser is.
    pub(crate) async fn check_user(&self, hub_token: &HubAccessToken, user: &HubUser) -> UserCheck {
        match self.browsers.recheck(hub_token).await {
            Ok(now) if now.may_be(user) => UserCheck::Same,
            Ok(_) => UserCheck::Gone("other_user"),
            Err(BrowserError::Refused) => UserCheck::Gone("logged_out"),
            Err(BrowserError::HubUnavailable) => UserCheck::Unknown,
        }
    }

    /// The Hub does not say who the browser is. The link stays good: nothing was used up but this flow's state
    /// (SECURITY Q15).
    pub(crate) fn refusal_page(&self, error: BrowserError, source: Option<&str>) -> BrowserReply {
        match error {
            BrowserError::Refused => {
                let event = Event::new().source(source).reason("hub_refused");
                self.error_pages
                    .refuse(Refusal::Forbidden, EventKind::HubUserMismatch, event)
            }
            BrowserError::HubUnavailable => self.error_pages.hub_unavailable(source),
        }
    }
}
