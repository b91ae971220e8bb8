//! How pages name things.

use serde::{Deserialize, Serialize};

use crate::ProviderId;

/// A provider as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderLabel {
    /// Its id.
    pub id: ProviderId,
    /// Its name for people.
    pub display_name: String,
}

/// A scope as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeLabel {
    /// The raw scope.
    pub scope: String,
    /// The operator's description of it.
    pub description: Option<String>,
}
