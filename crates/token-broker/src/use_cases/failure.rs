//! Why a kernel's request was not carried out.

use std::time::Duration;

use hubkey_domain::{refresh_state::BackoffReason, user_index::TooMany};
use hubkey_oidc::UserinfoError;
use hubkey_protocol::{ErrorCode, SignInCause};
use hubkey_store::StoreError;

use crate::hub::KernelError;

/// Why a kernel's request was not carried out. `routes` makes the answer of it, in one place.
#[derive(Debug, thiserror::Error)]
pub enum KernelFailure {
    /// The token is not taken for a kernel's.
    #[error("the token was refused")]
    Kernel(#[from] KernelError),
    /// Only the Hub may ask this.
    #[error("not the Hub's service token")]
    NotTheHub,
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
    AlreadyDelivered,
    /// A newer poll took over.
    #[error("a newer poll took over")]
    Superseded,
    /// A person has to sign in; with the cause where there is a connection.
    #[error("a person has to sign in")]
    SignInRequired(Option<SignInCause>),
    /// A token of that connection is valid for no longer than so many seconds.
    #[error("no token is valid for so long")]
    TokenLifetimeTooShort(u64),
    /// A token that is said to be rejected took the place of another one a moment ago; the next one is given after that.
    #[error("new tokens are rejected too")]
    TokenRejected,
    /// Another replica refreshes the token, or nobody knows yet how that ended.
    #[error("the token is being refreshed")]
    RefreshInProgress,
    /// The provider did not refresh the token; not to be asked again for a while.
    #[error("the provider did not refresh the token")]
    Provider(BackoffReason, Duration),
    /// The provider's userinfo cannot be used.
    #[error("the provider's userinfo cannot be used")]
    Userinfo(UserinfoError),
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
    /// Whether nothing of the connection may be handed out any more, also where it would still be valid.
    pub(crate) fn ends_access(&self) -> bool {
        matches!(
            self,
            Self::SignInRequired(Some(SignInCause::AccessEnded)) | Self::NotFound
        )
    }

    /// Why a person should be asked to sign in where a connection gave this instead of a token; absent where it is worth
    /// waiting a moment, and for what a sign-in does not mend.
    pub(crate) fn sign_in_cause(&self) -> Option<SignInCause> {
        match self {
            Self::SignInRequired(cause) => Some(cause.unwrap_or(SignInCause::AccessEnded)),
            Self::TokenLifetimeTooShort(_) | Self::NotFound => Some(SignInCause::AccessEnded),
            Self::Provider(BackoffReason::Misconfigured, _) => {
                Some(SignInCause::RegistrationRefused)
            }
            Self::Provider(BackoffReason::Refused, _) => Some(SignInCause::NotRenewed),
            Self::Provider(BackoffReason::Unavailable, _)
            | Self::Kernel(_)
            | Self::NotTheHub
            | Self::Store(_)
            | Self::Policy { .. }
            | Self::AlreadyDelivered
            | Self::Superseded
            | Self::TokenRejected
            | Self::RefreshInProgress
            | Self::Userinfo(_)
            | Self::TooMany(_)
            | Self::Overloaded
            | Self::KeyReused
            | Self::Contended => None,
        }
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Kernel(KernelError::HubUnavailable | KernelError::TooMany)
            | Self::Store(StoreError::Unavailable(_))
            | Self::RefreshInProgress
            | Self::Overloaded
            | Self::Contended => Some(Duration::from_secs(1)),
            Self::Provider(BackoffReason::Unavailable, rest) => Some(*rest),
            Self::TooMany(TooMany::Open(wait) | TooMany::Created(wait)) => Some(*wait),
            Self::Kernel(_)
            | Self::Store(_)
            | Self::Policy { .. }
            | Self::NotTheHub
            | Self::NotFound
            | Self::AlreadyDelivered
            | Self::Superseded
            | Self::SignInRequired(_)
            | Self::TokenLifetimeTooShort(_)
            | Self::TokenRejected
            | Self::Provider(BackoffReason::Misconfigured | BackoffReason::Refused, _)
            | Self::Userinfo(_)
            | Self::KeyReused => None,
        }
    }
}
