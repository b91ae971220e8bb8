//! Why a kernel's request was not carried out.

use std::time::Duration;

use hubkey_protocol::ErrorCode;

use crate::{domain::user_index::TooMany, hub::KernelError, store::StoreError};

/// Why a kernel's request was not carried out. `routes` makes the answer of it, in one place.
#[derive(Debug, thiserror::Error)]
pub enum KernelFailure {
    /// The token is not taken for a kernel's.
    #[error("the token was refused")]
    Kernel(#[from] KernelError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The request is outside of what the operator permits.
    #[error("outside of what the operator permits")]
    Policy {
        /// Which word.
        code: ErrorCode,
        /// What to do.
        detail: String,
    },
    /// Unknown, foreign, expired or spent: all the same.
    #[error("no such thing, or not this kernel's")]
    NotFound,
    /// Delivered and acknowledged, or long delivered.
    #[error("delivered already")]
    Gone,
    /// A newer poll took over.
    #[error("a newer poll took over")]
    Superseded,
    /// A person has to sign in.
    #[error("a person has to sign in")]
    SignInRequired,
    /// The current token ends earlier than asked for, in so many seconds.
    #[error("the current token ends too early")]
    TokenTooShort(u64),
    /// Too many sign-ins.
    #[error("too many sign-ins")]
    TooMany(TooMany),
    /// As many polls wait as may.
    #[error("too many polls wait")]
    Overloaded,
    /// The request changed under the same idempotency key.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// Concurrent requests of the same hub user won again and again.
    #[error("too many concurrent changes")]
    Contended,
}

impl KernelFailure {
    /// When to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Kernel(KernelError::HubUnavailable | KernelError::TooMany)
            | Self::Store(StoreError::Unavailable(_))
            | Self::Overloaded
            | Self::Contended => Some(Duration::from_secs(1)),
            Self::TooMany(TooMany::Open(wait) | TooMany::Created(wait)) => Some(*wait),
            Self::Kernel(_)
            | Self::Store(_)
            | Self::Policy { .. }
            | Self::NotFound
            | Self::Gone
            | Self::Superseded
            | Self::SignInRequired
            | Self::TokenTooShort(_)
            | Self::KeyReused => None,
        }
    }
}
