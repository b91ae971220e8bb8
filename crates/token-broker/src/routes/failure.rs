//! How a kernel's failed request is answered: one match.

use std::time::Duration;

use hubkey_domain::{refresh_state::BackoffReason, user_index::TooMany};
use hubkey_oidc::UserinfoError;
use hubkey_protocol::{ErrorCode, SignInCause};
use hubkey_service::http::Failure;
use hubkey_store::StoreError;

use crate::{hub::KernelError, use_cases::failure::KernelFailure};

impl From<KernelFailure> for Failure {
    fn from(failure: KernelFailure) -> Self {
        // Rounded up: who comes back at that time is not too early.
        let seconds = |wait: Duration| wait.as_millis().div_ceil(1000).max(1);
        let retry_after = failure.retry_after().map(seconds);
        let answer = answer(failure);
        match retry_after {
            Some(seconds) => answer.retry_after(u64::try_from(seconds).unwrap_or(u64::MAX)),
            None => answer,
        }
    }
}

fn answer(failure: KernelFailure) -> Failure {
    match failure {
        KernelFailure::Kernel(error) => kernel(error),
        KernelFailure::NotTheHub => Failure::of(ErrorCode::NotTheHub),
        KernelFailure::Store(error) => store(error),
        KernelFailure::Policy { code, detail } => Failure::new(code, code.row().title, detail),
        KernelFailure::NotFound => Failure::of(ErrorCode::NotFound),
        KernelFailure::AlreadyDelivered => Failure::of(ErrorCode::AlreadyDelivered),
        KernelFailure::Superseded => Failure::of(ErrorCode::Superseded),
        KernelFailure::SignInRequired(cause) => sign_in_required(cause),
        KernelFailure::TokenLifetimeTooShort(seconds) => too_short(seconds),
        KernelFailure::TokenRejected => Failure::of(ErrorCode::ProviderRejectsToken),
        KernelFailure::RefreshInProgress => Failure::of(ErrorCode::RefreshInProgress),
        KernelFailure::Provider(trouble, _) => Failure::of(provider(trouble)),
        KernelFailure::Userinfo(error) => Failure::of(userinfo(error)),
        KernelFailure::TooMany(TooMany::Open(_)) => Failure::of(ErrorCode::TooManySignIns),
        KernelFailure::TooMany(TooMany::Created(_)) => too_fast(),
        KernelFailure::Overloaded | KernelFailure::Contended => Failure::of(ErrorCode::Overloaded),
        KernelFailure::KeyReused => Failure::of(ErrorCode::IdempotencyKeyReused),
    }
}

fn sign_in_required(cause: Option<SignInCause>) -> Failure {
    let row = ErrorCode::SignInRequired.row();
    let title = cause.map_or(row.title, SignInCause::title);
    Failure::new(ErrorCode::SignInRequired, title, row.remedy)
}

fn too_short(seconds: u64) -> Failure {
    let code = ErrorCode::TokenLifetimeTooShort;
    let title = format!("No token of this connection is valid for longer than {seconds} seconds.");
    Failure::new(code, title, code.row().remedy)
}

fn too_fast() -> Failure {
    Failure::new(
        ErrorCode::RateLimited,
        "Too many sign-ins were opened within a minute.",
        "Wait a moment and try again.",
    )
}

fn provider(trouble: BackoffReason) -> ErrorCode {
    match trouble {
        BackoffReason::Unavailable => ErrorCode::ProviderUnavailable,
        BackoffReason::Misconfigured => ErrorCode::ProviderMisconfigured,
        BackoffReason::Refused => ErrorCode::InvalidTarget,
    }
}

fn userinfo(error: UserinfoError) -> ErrorCode {
    match error {
        UserinfoError::Refused | UserinfoError::TokenRefused => ErrorCode::UserinfoRefused,
        UserinfoError::SubjectMismatch => ErrorCode::UserinfoSubjectMismatch,
        UserinfoError::Unreadable(_) => ErrorCode::UserinfoUnreadable,
    }
}

fn kernel(error: KernelError) -> Failure {
    match error {
        KernelError::Malformed => Failure::of(ErrorCode::MissingToken),
        KernelError::Unknown => Failure::of(ErrorCode::InvalidToken),
        KernelError::NotAServerToken => Failure::of(ErrorCode::NotAServerToken),
        KernelError::MissingKernelScope => Failure::of(ErrorCode::MissingServerScope),
        KernelError::TooMany => Failure::new(
            ErrorCode::RateLimited,
            "Too many unknown tokens were tried from here.",
            "Wait a moment, then use this server's own token.",
        ),
        KernelError::HubUnavailable => Failure::of(ErrorCode::HubUnavailable),
    }
}

fn store(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => Failure::of(ErrorCode::StoreUnavailable).because(error),
        StoreError::DecryptionFailed | StoreError::Malformed | StoreError::KeyRetired(_) => {
            Failure::internal(error)
        }
    }
}
