//! What a step leaves behind where the store failed in it.

use hubkey_store::StoreError;

/// The store failed before it was known to have what was granted.
pub(crate) struct UnstoredGrant {
    /// How.
    pub(crate) error: StoreError,
    pub(crate) location: GrantLocation,
}

/// Where the grant is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantLocation {
    /// Nowhere that anybody knows of.
    Nowhere,
    /// Perhaps in the sign-in: nobody knows whether that was written.
    Perhaps,
    /// It is revoked.
    Revoked,
}

impl UnstoredGrant {
    /// Nobody has the grant.
    pub(crate) fn unwritten(error: StoreError) -> Self {
        let location = GrantLocation::Nowhere;
        Self { error, location }
    }

    /// The sign-in may have it.
    pub(crate) fn unknown(error: StoreError) -> Self {
        let location = GrantLocation::Perhaps;
        Self { error, location }
    }

    pub(crate) fn revoked(error: StoreError) -> Self {
        let location = GrantLocation::Revoked;
        Self { error, location }
    }
}
