//! Whether the Hub is asked who a browser is: before the question, and before anything is used up for it.
//!
//! Everybody can come back from the Hub with an invented code, and each one costs the Hub a question. So a browser with the
//! cookie of a live sign-in's flow and one of which nothing is known are counted apart and take turns apart (SECURITY Q7).

use std::{net::IpAddr, sync::Arc, time::Duration};

use hubkey_domain::{chance::RandomSource, kernel::HubUser};
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
        BrowserAuthenticator, BrowserError, Turn, Visitor,
        failures::{Failures, Place, Rate, Rates, network_of_peer},
    },
    use_cases::{
        base::Base,
        browser::error_pages::{ErrorPages, reply},
    },
};

/// Browsers of which nobody knows anything yet. What they cost the Hub is little, and they share it.
const VISITS: Rates = Rates {
    each: Rate {
        interval: Duration::from_secs(1),
        burst: 10,
    },
    together: Rate {
        interval: Duration::from_millis(200),
        burst: 20,
    },
};

/// Browsers with the cookie of a live sign-in's flow, by sign-in and address. Only a hub user makes sign-ins.
const SIGN_INS: Rates = Rates {
    each: Rate {
        interval: Duration::from_secs(5),
        burst: 5,
    },
    together: Rate {
        interval: Duration::from_millis(50),
        burst: 100,
    },
};

/// How long a browser waits for its turn. Nobody watches an empty page for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A browser that came back from the Hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entrance<'a> {
    /// The sign-in whose flow its cookie opens; absent where nothing is known.
    pub(crate) sign_in: Option<&'a ShortId>,
    /// What its address is counted by, if that says anything.
    pub(crate) peer: Option<IpAddr>,
    /// Ends when who asks for the browser has gone.
    pub(crate) gone: &'a CancellationToken,
}

/// The Hub may be asked.
#[derive(Debug)]
pub(crate) struct Admitted {
    unasked: Unasked,
    turn: Turn,
}

/// Why the Hub is not asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Denied {
    /// Too many came to nothing.
    TooMany,
    /// Nobody's fault: too many are before this one.
    Busy,
    /// Nobody waits for the answer any more.
    Gone,
}

/// A place that is given back unless a question is asked for it.
#[derive(Debug)]
struct Unasked(Option<Place>);

/// A question was asked: its place counts, unless the question turns out to have cost nothing.
#[derive(Debug)]
pub(crate) struct Asked(Option<Place>);

impl Drop for Unasked {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.give_back();
        }
    }
}

impl Admitted {
    /// Now the question is asked.
    pub(crate) fn asks(mut self) -> (Asked, Turn) {
        (Asked(self.unasked.0.take()), self.turn)
    }
}

impl Asked {
    /// The Hub said who it is, or did not answer.
    pub(crate) fn cost_nothing(self) {
        if let Some(place) = self.0 {
            place.give_back();
        }
    }
}

impl Entrance<'_> {
    fn visitor(&self) -> Visitor {
        match self.sign_in {
            Some(_) => Visitor::SignIn,
            None => Visitor::Unknown,
        }
    }
}

impl Denied {
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
    visits: Failures,
    sign_ins: Failures<(ShortId, Option<IpAddr>)>,
    error_pages: Arc<ErrorPages>,
}

impl HubLogin {
    pub(crate) fn new(base: &Base, error_pages: &Arc<ErrorPages>) -> Self {
        Self {
            browsers: Arc::clone(&base.browsers),
            chance: Arc::clone(&base.chance),
            visits: Failures::with(Arc::clone(&base.clock), VISITS),
            sign_ins: Failures::with(Arc::clone(&base.clock), SIGN_INS),
            error_pages: Arc::clone(error_pages),
        }
    }

    /// Waits until the Hub may be asked, and no longer than its browser does.
    pub(crate) async fn admit(&self, entrance: Entrance<'_>) -> Result<Admitted, Denied> {
        let admitted = tokio::select! {
            () = entrance.gone.cancelled() => Err(Denied::Gone),
            admitted = timeout(PATIENCE, self.in_turn(entrance)) => {
                admitted.unwrap_or(Err(Denied::Busy))
            }
        };
        let outcome = match &admitted {
            Ok(_) => "asked",
            Err(denied) => denied.outcome(),
        };
        let visitor = match entrance.visitor() {
            Visitor::SignIn => "sign_in",
            Visitor::Unknown => "unknown",
        };
        metrics::counter!("hubkey_browser_questions_total", "visitor" => visitor, "outcome" => outcome)
            .increment(1);
        admitted
    }

    async fn in_turn(&self, entrance: Entrance<'_>) -> Result<Admitted, Denied> {
        let place = match entrance.sign_in {
            Some(short) => {
                let one = (short.clone(), network_of_peer(entrance.peer));
                self.sign_ins.place_of(Some(one)).await
            }
            None => self.visits.place(entrance.peer).await,
        };
        let unasked = Unasked(Some(place.ok_or(Denied::TooMany)?));
        let turn = self.browsers.turn(entrance.visitor()).await;
        Ok(Admitted {
            unasked,
            turn: turn.map_err(|_| Denied::Busy)?,
        })
    }

    /// What the browser sees. Nothing was used up: the same page may be loaded again.
    pub(crate) fn denied(&self, denied: Denied, source: Option<&str>) -> BrowserReply {
        match denied {
            Denied::TooMany => {
                let event = Event::new().source(source).reason("too_many_questions");
                self.error_pages
                    .refuse(Refusal::RateLimited, EventKind::PolicyDenied, event)
            }
            Denied::Busy => self.error_pages.hub_unavailable(source),
            // Nobody reads it.
            Denied::Gone => reply(BrowserAnswer::Refused {
                refusal: Refusal::Unavailable,
                reference: self.chance.reference(),
            }),
        }
    }

    /// Asks the Hub again who the browser is.
    pub(crate) async fn check_user(&self, hub_token: &HubAccessToken, user: &HubUser) -> UserCheck {
        match self.browsers.ask_again(hub_token).await {
            Ok(now) if now.may_be(user) => UserCheck::Same,
            Ok(_) => UserCheck::Gone("other_user"),
            Err(BrowserError::Refused) => UserCheck::Gone("logged_out"),
            Err(BrowserError::HubUnavailable) => UserCheck::Unknown,
        }
    }

    /// The Hub does not say who the browser is. The link stays good: nothing was used up but this flow's state
    /// (SECURITY Q15).
    pub(crate) fn refused(&self, error: BrowserError, source: Option<&str>) -> BrowserReply {
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
