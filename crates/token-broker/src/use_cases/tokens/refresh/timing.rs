//! When and how a provider is asked, and how long what it gave lives.

use std::sync::Arc;

use crate::use_cases::{
    connections::extend::Extension,
    tokens::refresh::{backoff::Backoff, narrowing::NarrowingProviders, recovery::Recoveries},
};

/// When and how a provider is asked, and how long what it gave lives.
pub(crate) struct RefreshTiming {
    pub(crate) backoff: Arc<Backoff>,
    pub(crate) extension: Arc<Extension>,
    pub(crate) recoveries: Arc<Recoveries>,
    pub(crate) narrowing: Arc<NarrowingProviders>,
}
