//! What one person, or anybody, may cost others: the Hub, the providers, the readers of the audit stream.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hubkey_protocol::ShortId;
use serde_json::{Map, Value};

use super::refusals::Refusals;
use crate::{
    domain::clock::Clock,
    hub::failures::{Failures, Rate, Rates},
    idp::IdpError,
    limits::{Answers, Pace},
};

/// Of so many connections is remembered what userinfo said; an answer has up to 64 KiB.
const MOST_USERINFO: u64 = 256;
/// Ways to tokens beside a connection's own that a hub user goes at once, and after that one in each interval.
const TARGETS: (u32, Duration) = (20, Duration::from_millis(200));

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

/// See the module; of one process.
#[derive(Debug)]
pub struct Limits {
    /// Visits to "My connections" of which the Hub knew nothing.
    pub(super) visits: Failures,
    /// Browsers on a sign-in's way of which the Hub knew nothing.
    pub(super) sign_ins: Failures<(ShortId, Option<IpAddr>)>,
    /// Refusals of nobody that the audit stream need not have.
    pub(super) refusals: Refusals,
    /// What userinfo said of a connection's account.
    pub(super) userinfo: Answers<Result<Arc<Map<String, Value>>, IdpError>>,
    /// Of the hub users, by name, who ask a provider for tokens beside a connection's own.
    pub(super) targets: Pace<String>,
}

impl Limits {
    /// Nobody has cost anything yet.
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            visits: Failures::with(Arc::clone(clock), VISITS),
            sign_ins: Failures::with(Arc::clone(clock), SIGN_INS),
            refusals: Refusals::new(Arc::clone(clock)),
            userinfo: Answers::new(Arc::clone(clock), MOST_USERINFO),
            targets: Pace::new(TARGETS.0, TARGETS.1),
        }
    }
}
