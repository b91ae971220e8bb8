//! A kernel asks which providers there are.

use hubkey_protocol::{Provider, ProviderList};

use super::{Asker, Flows, failure::KernelFailure};
use crate::idp::IdentityProvider;

impl Flows {
    /// The configured providers, in the operator's order.
    pub async fn providers(&self, asker: &Asker) -> Result<ProviderList, KernelFailure> {
        self.known_kernel(asker).await?;
        Ok(ProviderList {
            providers: self
                .providers
                .iter()
                .map(|provider| message(provider.as_ref()))
                .collect(),
        })
    }
}

fn message(provider: &dyn IdentityProvider) -> Provider {
    let config = provider.config();
    Provider {
        id: config.id.clone(),
        display_name: config.display_name.clone(),
        default_scopes: config.offer.default_scopes.clone(),
        allowed_scopes: config.offer.allowed_scopes.clone(),
        api_origins: config.api_origins.clone(),
        state: provider.state(),
    }
}
