//! What brings a token to a kernel.

use std::sync::Arc;

use crate::use_cases::{
    base::Base,
    records::Records,
    tokens::{derived::DerivedTokens, ensure_valid::ValidTokens, refresh::Refresh},
};

/// What brings a token to a kernel.
pub(crate) struct TokenSources {
    pub(crate) valid_tokens: Arc<ValidTokens>,
    pub(crate) derived_tokens: Arc<DerivedTokens>,
}

impl TokenSources {
    pub(crate) fn new(base: &Base, records: &Records, refresh: &Refresh) -> Self {
        Self {
            valid_tokens: Arc::new(ValidTokens::new(base, records, refresh)),
            derived_tokens: Arc::new(DerivedTokens::new(base, records, refresh)),
        }
    }
}
