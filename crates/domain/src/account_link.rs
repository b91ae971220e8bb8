//! Which account belongs to which hub user.

use serde::{Deserialize, Serialize};

use crate::{identity::HubUser, keyed_hash::KeyedHash};

/// The account that a hub user has at a provider: the keyed hash of (issuer, subject), from the last confirmation.
/// It counts for that hub user only, and not for who had the name before or after.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccountLink {
    /// Of issuer and subject.
    pub account: KeyedHash,
    /// Whose; nothing in a record from before this was noted.
    #[serde(default)]
    pub of: Option<HubUser>,
}

/// The hub user that an account belongs to. One account never belongs to two.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccountOwner {
    /// Who.
    #[serde(flatten)]
    pub user: HubUser,
}
