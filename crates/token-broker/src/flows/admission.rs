//! Whether the Hub is asked who a browser is: before the question, and before anything is used up for it.
//!
//! Everybody can come back from the Hub with an invented code, and each one costs the Hub a question. So a browser with the
//! cookie of a live sign-in's flow and one of which nothing is known are counted apart and take turns apart (SECURITY Q7).

use std::{net::IpAddr, time::Duration};

use hubkey_protocol::{
    ShortId,
    internal::{BrowserAnswer, BrowserReply, Refusal},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Flows, reply};
use crate::{
    audit::{Event, What},
    hub::{
        Turn, Visitor,
        failures::{Place, network_of_peer},
    },
};

/// How long a browser waits for its turn. Nobody watches an empty page for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A browser that came back from the Hub.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entrance<'a> {
    /// The sign-in whose flow its cookie opens; absent where nothing is known.
    pub(super) sign_in: Option<&'a ShortId>,
    /// What its address is counted by, if that says anything.
    pub(super) peer: Option<IpAddr>,
    /// Ends when who asks for the browser has gone.
    pub(super) gone: &'a CancellationToken,
}

/// The Hub may be asked.
#[derive(Debug)]
pub(super) struct Admitted {
    unasked: Unasked,
    turn: Turn,
}

/// Why the Hub is not asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Denied {
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
pub(super) struct Asked(Option<Place>);

impl Drop for Unasked {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.give_back();
        }
    }
}

impl Admitted {
    /// Now the question is asked.
    pub(super) fn asks(mut self) -> (Asked, Turn) {
        (Asked(self.unasked.0.take()), self.turn)
    }
}

impl Asked {
    /// The Hub said who it is, or did not answer.
    pub(super) fn cost_nothing(self) {
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

impl Flows {
    /// Waits until the Hub may be asked, and no longer than its browser does.
    pub(super) async fn admit(&self, entrance: Entrance<'_>) -> Result<Admitted, Denied> {
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
                self.limits.sign_ins.place_of(Some(one)).await
            }
            None => self.limits.visits.place(entrance.peer).await,
        };
        let unasked = Unasked(Some(place.ok_or(Denied::TooMany)?));
        let turn = self.browsers.turn(entrance.visitor()).await;
        Ok(Admitted {
            unasked,
            turn: turn.map_err(|_| Denied::Busy)?,
        })
    }

    /// What the browser sees. Nothing was used up: the same page may be loaded again.
    pub(super) fn denied(&self, denied: Denied, source: Option<&str>) -> BrowserReply {
        match denied {
            Denied::TooMany => {
                let event = Event::new().source(source).reason("too_many_questions");
                self.refuse(Refusal::TooMany, What::PolicyDenied, event)
            }
            Denied::Busy => self.hub_unavailable(source),
            // Nobody reads it.
            Denied::Gone => reply(BrowserAnswer::Refused {
                refusal: Refusal::Unavailable,
                reference: self.chance.reference(),
            }),
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
