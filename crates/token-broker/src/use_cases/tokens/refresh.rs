//! Refreshing a connection's token.

pub(crate) mod attempt;
pub(crate) mod backoff;
pub(crate) mod narrowing;
pub(crate) mod outcome;
pub(crate) mod recovery;
pub(crate) mod refresher;
pub(crate) mod steps;
pub(crate) mod suspended;
pub(crate) mod timing;
pub(crate) mod unverified;
pub(crate) mod write;

use std::sync::Arc;

use crate::use_cases::{
    base::Base,
    common::Common,
    connections::extend::Extension,
    records::Records,
    tokens::refresh::{
        attempt::RefreshAttempts, backoff::Backoff, narrowing::NarrowingProviders,
        outcome::RefreshOutcomes, recovery::Recoveries, refresher::Refresher, steps::RefreshSteps,
        timing::RefreshTiming, unverified::UnverifiedRefreshes, write::RefreshWrites,
    },
};

/// What a refresh is made of.
pub(crate) struct Refresh {
    pub(crate) backoff: Arc<Backoff>,
    pub(crate) extension: Arc<Extension>,
    pub(crate) recoveries: Arc<Recoveries>,
    pub(crate) narrowing: Arc<NarrowingProviders>,
    pub(crate) attempts: Arc<RefreshAttempts>,
    pub(crate) writes: Arc<RefreshWrites>,
    pub(crate) unverified: Arc<UnverifiedRefreshes>,
    pub(crate) outcomes: Arc<RefreshOutcomes>,
    pub(crate) refresher: Arc<Refresher>,
}

impl Refresh {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        let timing = RefreshTiming {
            backoff: Arc::new(Backoff::new(base)),
            extension: Arc::new(Extension::new(base, records)),
            recoveries: Arc::new(Recoveries::new(base, records)),
            narrowing: Arc::default(),
        };
        let writes = Arc::new(RefreshWrites::new(base, records, common, &timing));
        let unverified = Arc::new(UnverifiedRefreshes::new(base, &timing, &writes));
        let outcomes = RefreshOutcomes::new(base, records, &timing, &writes, &unverified);
        let steps = RefreshSteps {
            attempts: Arc::new(RefreshAttempts::new(base, records, &timing)),
            outcomes: Arc::new(outcomes),
            writes,
        };
        let refresher = Refresher::new(base, records, &timing, &steps);
        Self {
            backoff: timing.backoff,
            extension: timing.extension,
            recoveries: timing.recoveries,
            narrowing: timing.narrowing,
            attempts: steps.attempts,
            writes: steps.writes,
            outcomes: steps.outcomes,
            unverified,
            refresher: Arc::new(refresher),
        }
    }
}
