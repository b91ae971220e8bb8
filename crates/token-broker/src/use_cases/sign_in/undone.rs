//! What a step leaves behind where the store failed in it.

use hubkey_store::StoreError;

/// The store failed before it was known to have what was granted.
pub(crate) struct Undone {
    /// How.
    pub(crate) error: StoreError,
    pub(crate) left: Left,
}

/// Where the grant is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nowhere that somebody was told of.
    Nowhere,
    /// Perhaps in the sign-in: nobody knows whether that was written.
    Perhaps,
    /// It is given back.
    GivenBack,
}

impl Undone {
    /// Nobody has the grant.
    pub(crate) fn unwritten(error: StoreError) -> Self {
        let left = Left::Nowhere;
        Self { error, left }
    }

    /// The sign-in may have it.
    pub(crate) fn unknown(error: StoreError) -> Self {
        let left = Left::Perhaps;
        Self { error, left }
    }

    pub(crate) fn given_back(error: StoreError) -> Self {
        let left = Left::GivenBack;
        Self { error, left }
    }
}
