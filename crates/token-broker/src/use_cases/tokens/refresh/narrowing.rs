//! Providers whose refresh tokens become as narrow as a request for fewer scopes.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use hubkey_protocol::ProviderId;

/// Those that were seen to do so since this process started.
#[derive(Debug, Default)]
pub(crate) struct NarrowingProviders(RwLock<BTreeSet<ProviderId>>);

impl NarrowingProviders {
    /// A connection there lost scopes because a token of fewer scopes was fetched with its refresh token.
    pub(crate) fn note(&self, provider: &ProviderId) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(provider.clone()) {
            tracing::warn!(
                provider = provider.as_str(),
                "This provider narrows a refresh token to the scopes of a request (against RFC 6749 section 6). No more tokens \
                 of fewer scopes are fetched with refresh tokens there; configure token exchange where they are needed."
            );
        }
    }

    /// Whether it was seen to do so.
    pub(crate) fn includes(&self, provider: &ProviderId) -> bool {
        let seen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        seen.contains(provider)
    }
}
