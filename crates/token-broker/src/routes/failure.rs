//! How a kernel's failed request is answered: one match.

use std::time::Duration;

use hubkey_protocol::{ErrorCode, SignInCause};
use hubkey_service::http::Failure;

use crate::{
    domain::{refresh_state::Trouble, user_index::TooMany},
    hub::KernelError,
    store::StoreError,
    use_cases::failure::KernelFailure,
};

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
        KernelFailure::NotTheHub => not_the_hub(),
        KernelFailure::Store(error) => store(error),
        KernelFailure::Policy { code, detail } => Failure::new(code, policy_title(code), detail),
        KernelFailure::NotFound => Failure::not_found(),
        KernelFailure::Gone => Failure::new(
            ErrorCode::Gone,
            "The result of this sign-in was delivered already.",
            "Look in GET /v1/connections, or open a new sign-in.",
        ),
        KernelFailure::Superseded => Failure::new(
            ErrorCode::Superseded,
            "A newer request waits for the same sign-in.",
            "Let the newer one go on.",
        ),
        KernelFailure::SignInRequired(cause) => sign_in_required(cause),
        KernelFailure::TokenTooShort(seconds) => Failure::new(
            ErrorCode::TokenTooShort,
            format!("No token of this connection is valid for longer than {seconds} seconds."),
            "Ask for less.",
        ),
        KernelFailure::RefreshInProgress => in_progress(),
        KernelFailure::Provider(trouble, _) => provider(trouble),
        KernelFailure::TooMany(limit) => too_many(limit),
        KernelFailure::Overloaded | KernelFailure::Contended => Failure::new(
            ErrorCode::Overloaded,
            "Too much is going on at once.",
            "Try again in a moment.",
        ),
        KernelFailure::KeyReused => Failure::new(
            ErrorCode::BadRequest,
            "This idempotency key belongs to another request.",
            "Make a new key for each new request.",
        ),
    }
}

fn sign_in_required(cause: Option<SignInCause>) -> Failure {
    let title = match cause {
        None => "A person has to sign in.",
        Some(SignInCause::AccessEnded) => "The access has ended; a person has to sign in again.",
        Some(SignInCause::NotRenewed) => {
            "The provider did not renew the access; a person has to sign in again."
        }
        Some(SignInCause::RegistrationRefused) => {
            "The provider refuses hubkey's registration; a person may try to sign in."
        }
    };
    Failure::new(
        ErrorCode::SignInRequired,
        title,
        "Open a sign-in with POST /v1/sign-ins and show its link.",
    )
}

fn not_the_hub() -> Failure {
    Failure::new(
        ErrorCode::InvalidToken,
        "Only the Hub may ask this.",
        "Ask with the API token of the Hub's service hubkey; hubkey.hub.configure sets the hook that does.",
    )
}

fn too_many(limit: TooMany) -> Failure {
    match limit {
        TooMany::Open(_) => Failure::new(
            ErrorCode::TooManySignIns,
            "Too many sign-ins of yours wait already.",
            "Finish one of them, stop the cells that wait, or wait until one expires.",
        ),
        TooMany::Created(_) => Failure::new(
            ErrorCode::RateLimited,
            "Too many sign-ins were opened within a minute.",
            "Wait a moment and try again.",
        ),
    }
}

fn in_progress() -> Failure {
    Failure::new(
        ErrorCode::RefreshInProgress,
        "The token is being refreshed.",
        "Try again in a moment.",
    )
}

fn provider(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Unavailable => Failure::new(
            ErrorCode::ProviderUnavailable,
            "The provider did not answer.",
            "Try again in a moment; nobody has to sign in again.",
        ),
        Trouble::Misconfigured => Failure::new(
            ErrorCode::ProviderMisconfigured,
            "The provider refuses hubkey's registration or request.",
            "Tell the operator of this JupyterHub; nobody has to sign in again once that is corrected.",
        ),
        Trouble::Refused => Failure::new(
            ErrorCode::TargetRefused,
            "The provider gives this connection no token for what was asked for.",
            "Ask for something else, or ask whoever administers the provider for access; the connection itself still \
             works.",
        ),
    }
}

fn kernel(error: KernelError) -> Failure {
    match error {
        KernelError::Malformed => Failure::new(
            ErrorCode::MissingToken,
            "The token is not of the form of a Hub token.",
            "Send this server's JUPYTERHUB_API_TOKEN as it is.",
        ),
        KernelError::Unknown => Failure::new(
            ErrorCode::InvalidToken,
            "The Hub does not know this token.",
            "Restart the server from the Hub's control panel; its token ends when it stops.",
        ),
        KernelError::NotAServerToken => Failure::new(
            ErrorCode::NotAServerToken,
            "This is not the token of a single-user server.",
            "Ask from a notebook, with that server's own JUPYTERHUB_API_TOKEN. If the server's hub user was renamed \
             while it ran, restart the server.",
        ),
        KernelError::MissingKernelScope => Failure::new(
            ErrorCode::NotAServerToken,
            "This server's token lacks the scope for hubkey.",
            "Restart the server; if that does not help, the operator has to call hubkey.hub.configure in \
             jupyterhub_config.py, which adds custom:hubkey:kernel!user to Spawner.server_token_scopes.",
        ),
        KernelError::TooMany => Failure::new(
            ErrorCode::RateLimited,
            "Too many unknown tokens were tried from here.",
            "Wait a moment, then use this server's own token.",
        ),
        KernelError::HubUnavailable => Failure::new(
            ErrorCode::HubUnavailable,
            "The Hub did not answer.",
            "Try again in a moment.",
        ),
    }
}

fn store(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => Failure::new(
            ErrorCode::StoreUnavailable,
            "The store of hubkey did not answer.",
            "Try again in a moment.",
        )
        .because(error),
        StoreError::Unsealable | StoreError::Malformed | StoreError::KeyRetired(_) => {
            Failure::internal(error)
        }
    }
}

fn policy_title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownProvider => "There is no provider of that name.",
        ErrorCode::ProviderRequired => "There are several providers, and the request names none.",
        ErrorCode::ScopeNotAllowed => {
            "The provider is not configured for a scope that was asked for."
        }
        ErrorCode::AudienceNotAllowed => "The provider is not configured for that audience.",
        ErrorCode::ResourceNotAllowed => "The provider is not configured for that resource.",
        ErrorCode::IssuerNotAllowed => "The provider is not configured for that issuer.",
        ErrorCode::BadRequest => "The request says too little, or something that cannot be.",
        ErrorCode::SharedServer => {
            "Other people may enter this server, and the operator does not allow that."
        }
        _ => "The operator does not allow that.",
    }
}
