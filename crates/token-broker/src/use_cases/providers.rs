//! The configured providers.

use std::{collections::BTreeMap, sync::Arc};

use hubkey_oidc::IdentityProvider;
use hubkey_protocol::ProviderId;

/// The configured providers, in order and by id.
#[derive(Debug, Default)]
pub struct Providers {
    order: Vec<ProviderId>,
    by_id: BTreeMap<ProviderId, Arc<dyn IdentityProvider>>,
}

impl Providers {
    /// Those providers, in this order.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn IdentityProvider>>) -> Self {
        let order = providers
            .iter()
            .map(|provider| provider.config().id.clone())
            .collect();
        let by_id = providers
            .into_iter()
            .map(|provider| (provider.config().id.clone(), provider))
            .collect();
        Self { order, by_id }
    }

    /// The provider of that id.
    #[must_use]
    pub fn get(&self, id: &ProviderId) -> Option<&Arc<dyn IdentityProvider>> {
        self.by_id.get(id)
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn IdentityProvider>> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    /// The one provider, where there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&Arc<dyn IdentityProvider>> {
        match self.order.as_slice() {
            [id] => self.by_id.get(id),
            _ => None,
        }
    }
}
