//! When a provider is asked again.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::Clock,
    random::RandomSource,
    refresh_state::{BackoffReason, RefreshState},
};
use hubkey_protocol::SignInCause;

use crate::use_cases::{base::Base, rules::Rules, tokens::single_flight::RefreshFailure};

/// Says when a provider is asked again.
#[derive(Debug)]
pub(crate) struct Backoff {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
}

impl Backoff {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
        }
    }

    pub(crate) fn retry_later(
        &self,
        renewal: &RefreshState,
        trouble: BackoffReason,
        asked: Option<Duration>,
    ) -> RefreshState {
        renewal.rest_again(self.clock.now(), trouble, asked, self.chance.spread())
    }

    pub(crate) fn failure(&self, renewal: &RefreshState, trouble: BackoffReason) -> RefreshFailure {
        let rest = renewal.rest(self.clock.now());
        let rest = rest.map_or(self.rules.renewal.recover_after, |(rest, _)| rest);
        RefreshFailure::Provider(trouble, rest)
    }

    /// Why nothing is asked of the provider for now, if so.
    pub(crate) fn not_before(&self, renewal: &RefreshState) -> Option<RefreshFailure> {
        let now = self.clock.now();
        let (rest, trouble) = renewal.rest(now)?;
        Some(if renewal.waits_too_long(now) {
            RefreshFailure::SignIn(SignInCause::NotRenewed)
        } else {
            RefreshFailure::Provider(trouble, rest)
        })
    }
}
