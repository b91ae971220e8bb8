//! What the use cases are built upon.

use std::sync::Arc;

use hubkey_domain::{clock::Clock, random::RandomSource};
use hubkey_store::Store;
use hubkey_store::keys::LookupMacKey;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    hub::{BrowserAuthenticator, KernelAuthenticator},
    use_cases::{
        providers::Providers, refusal_log::RefusalLog, rules::Rules,
        tokens::single_flight::SingleFlight,
    },
};

/// What the use cases ask: the store, the Hub, the providers, time and chance; and what the operator set.
#[derive(Debug, Clone)]
pub struct Backends {
    /// Where records live.
    pub store: Arc<dyn Store>,
    /// Recognises kernels.
    pub kernels: Arc<dyn KernelAuthenticator>,
    /// Recognises browsers.
    pub browsers: Arc<dyn BrowserAuthenticator>,
    /// In the operator's order.
    pub providers: Arc<Providers>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn RandomSource>,
    /// Hides what is looked up.
    pub lookup_mac_key: LookupMacKey,
    /// What the operator set.
    pub rules: Arc<Rules>,
    /// One permit for each poll that may wait at a time.
    pub polls: Arc<Semaphore>,
    /// Ends long polls when the process is to end.
    pub stopping: CancellationToken,
}

/// What comes from outside, and what one process shares.
pub(crate) struct Base {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) kernels: Arc<dyn KernelAuthenticator>,
    pub(crate) browsers: Arc<dyn BrowserAuthenticator>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn RandomSource>,
    pub(crate) lookup_mac_key: LookupMacKey,
    pub(crate) rules: Arc<Rules>,
    pub(crate) polls: Arc<Semaphore>,
    pub(crate) stopping: CancellationToken,
    pub(crate) single_flight: Arc<SingleFlight>,
    pub(crate) refusal_log: Arc<RefusalLog>,
}

impl Base {
    pub(crate) fn new(backends: Backends) -> Self {
        let Backends {
            store,
            kernels,
            browsers,
            providers,
            clock,
            chance,
            lookup_mac_key,
            rules,
            polls,
            stopping,
        } = backends;
        Self {
            refusal_log: Arc::new(RefusalLog::new(Arc::clone(&clock))),
            single_flight: Arc::new(SingleFlight::default()),
            store,
            kernels,
            browsers,
            providers,
            clock,
            chance,
            lookup_mac_key,
            rules,
            polls,
            stopping,
        }
    }
}
