//! The words that pages get: labels of providers and scopes.

use hubkey_protocol::{
    ProviderId,
    internal::{ProviderLabel, ScopeLabel},
};

use super::Flows;
use crate::domain::sign_in::SignIn;

impl Flows {
    /// A provider as a page shows it; its id where it is not configured any more.
    pub(super) fn label(&self, id: &ProviderId) -> ProviderLabel {
        let display_name = self.provider(id).map_or_else(
            || id.as_str().to_owned(),
            |provider| provider.config().display_name.clone(),
        );
        ProviderLabel {
            id: id.clone(),
            display_name,
        }
    }

    /// What a sign-in asks for, as a page shows it.
    pub(super) fn scope_labels(&self, sign_in: &SignIn) -> Vec<ScopeLabel> {
        let provider = self.provider(&sign_in.provider);
        let descriptions = provider.map(|provider| &provider.config().offer.scope_descriptions);
        sign_in
            .wish
            .scopes
            .iter()
            .map(|scope| ScopeLabel {
                scope: scope.as_str().to_owned(),
                description: descriptions.and_then(|known| known.get(scope)).cloned(),
            })
            .collect()
    }
}
