//! What hubkey offers: to kernels its providers, to callback-server names, look and published keys.

use std::sync::Arc;

use hubkey_oidc::IdentityProvider;
use hubkey_protocol::{Provider, ProviderList, internal::SiteInfo};

use crate::use_cases::{
    base::Base,
    common::Common,
    failure::KernelFailure,
    providers::Providers,
    rules::Rules,
    server_authentication::{KernelCredentials, ServerAuthentication},
};

/// Says what is configured.
#[derive(Debug)]
pub struct Catalog {
    providers: Arc<Providers>,
    rules: Arc<Rules>,
    servers: Arc<ServerAuthentication>,
}

impl Catalog {
    pub(crate) fn new(base: &Base, common: &Common) -> Self {
        Self {
            providers: Arc::clone(&base.providers),
            rules: Arc::clone(&base.rules),
            servers: Arc::clone(&common.servers),
        }
    }

    /// The configured providers, in the operator's order.
    pub async fn providers(
        &self,
        credentials: &KernelCredentials,
    ) -> Result<ProviderList, KernelFailure> {
        self.servers.recognise(credentials).await?;
        Ok(ProviderList {
            providers: self
                .providers
                .iter()
                .map(|provider| message(provider.as_ref()))
                .collect(),
        })
    }

    /// Names and look of the pages, and the keys that are published.
    #[must_use]
    pub fn site(&self) -> SiteInfo {
        let key_sets = self.providers.iter().filter_map(|provider| {
            let set = provider.key_set()?;
            Some((provider.config().id.clone(), set.clone()))
        });
        SiteInfo {
            key_sets: key_sets.collect(),
            ..self.rules.site.clone()
        }
    }
}

pub(crate) fn message(provider: &dyn IdentityProvider) -> Provider {
    let config = provider.config();
    Provider {
        id: config.id.clone(),
        display_name: config.display_name.clone(),
        default_scopes: config.scope_policy.default_scopes.clone(),
        allowed_scopes: config.scope_policy.allowed_scopes.clone(),
        api_origins: config.api_origins.clone(),
        status: provider.status(),
    }
}
