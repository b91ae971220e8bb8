//! The words that pages get: labels of providers and scopes.

use std::sync::Arc;

use hubkey_domain::sign_in::SignIn;
use hubkey_protocol::{
    ProviderId, Scopes,
    internal::{ProviderLabel, ScopeLabel},
};

use crate::use_cases::{base::Base, providers::Providers};

/// Names providers and scopes as pages show them.
#[derive(Debug)]
pub(crate) struct Labels {
    providers: Arc<Providers>,
}

impl Labels {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            providers: Arc::clone(&base.providers),
        }
    }

    /// A provider as a page shows it; its id where it is not configured any more.
    pub(crate) fn label(&self, id: &ProviderId) -> ProviderLabel {
        let display_name = self.providers.get(id).map_or_else(
            || id.as_str().to_owned(),
            |provider| provider.config().display_name.clone(),
        );
        ProviderLabel {
            id: id.clone(),
            display_name,
        }
    }

    /// What a sign-in asks for, as a page shows it.
    pub(crate) fn scope_labels(&self, sign_in: &SignIn) -> Vec<ScopeLabel> {
        self.labels_of(&sign_in.provider, &sign_in.wish.scopes)
    }

    /// Scopes at a provider, as a page shows them.
    pub(crate) fn labels_of(&self, provider: &ProviderId, scopes: &Scopes) -> Vec<ScopeLabel> {
        let provider = self.providers.get(provider);
        let descriptions =
            provider.map(|provider| &provider.config().scope_policy.scope_descriptions);
        scopes
            .iter()
            .map(|scope| ScopeLabel {
                scope: scope.as_str().to_owned(),
                description: descriptions
                    .and_then(|known| known.get(scope).cloned())
                    .or_else(|| standard_description(scope.as_str()).map(str::to_owned)),
            })
            .collect()
    }
}

/// What the scopes of OpenID Connect Core 1.0 section 5.4 and 11 permit, where the operator says nothing else.
pub(crate) fn standard_description(scope: &str) -> Option<&'static str> {
    match scope {
        "openid" => Some("know which account is yours"),
        "profile" => Some("know your name"),
        "email" => Some("know your e-mail address"),
        "offline_access" => Some("stay connected while you are away"),
        _ => None,
    }
}
