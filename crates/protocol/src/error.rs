//! Errors as problem documents (RFC 9457).

use serde::{Deserialize, Serialize};

/// What went wrong, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is not of the form that the endpoint takes. 400
    BadRequest,
    /// No provider of that id. 400
    UnknownProvider,
    /// Several providers are configured and the request names none. 400
    ProviderRequired,
    /// A scope outside the provider's allow-list. 400
    ScopeNotAllowed,
    /// An audience outside the provider's allow-list. 400
    AudienceNotAllowed,
    /// A resource outside the provider's allow-list. 400
    ResourceNotAllowed,
    /// An issuer outside the provider's allow-list. 400
    IssuerNotAllowed,
    /// No usable `Authorization` header. 401
    MissingToken,
    /// The token is not known to the Hub. 403
    InvalidToken,
    /// The token is known to the Hub and is not the token of a single-user server. 403
    NotAServerToken,
    /// The server is shared with other people and the operator does not allow that. 403
    SharedServer,
    /// The provider gives no token for what was asked for. 403
    TargetRefused,
    /// No such thing, or not yours. 404
    NotFound,
    /// The method does not exist here. 405
    MethodNotAllowed,
    /// A newer poll of the same sign-in took over. 409
    Superseded,
    /// No usable connection: a person has to sign in. 409
    SignInRequired,
    /// The current token ends earlier than asked for. 409
    TokenTooShort,
    /// The result was delivered and acknowledged. 410
    Gone,
    /// The request took too long to arrive. 408
    RequestTimeout,
    /// Body too large. 413
    PayloadTooLarge,
    /// URL too long. 414
    UriTooLong,
    /// Too many requests of this user or server. 429
    RateLimited,
    /// Too many sign-ins of this hub user are open. 429
    TooManySignIns,
    /// Header too large. 431
    HeadersTooLarge,
    /// A fault in hubkey. 500
    Internal,
    /// The provider refuses hubkey's own registration or request; the operator has to act. 502
    ProviderMisconfigured,
    /// The Hub did not answer. 503
    HubUnavailable,
    /// The store did not answer. 503
    StoreUnavailable,
    /// The provider did not answer. 503
    ProviderUnavailable,
    /// The token is being refreshed, or nobody knows yet how that ended. 503
    RefreshInProgress,
    /// Too many requests at once. 503
    Overloaded,
    /// The handler took too long. 503
    Timeout,
    /// A code that this client does not know yet.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The HTTP status that goes with the word.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest
            | Self::UnknownProvider
            | Self::ProviderRequired
            | Self::ScopeNotAllowed
            | Self::AudienceNotAllowed
            | Self::ResourceNotAllowed
            | Self::IssuerNotAllowed => 400,
            Self::MissingToken => 401,
            Self::InvalidToken
            | Self::NotAServerToken
            | Self::SharedServer
            | Self::TargetRefused => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Superseded | Self::SignInRequired | Self::TokenTooShort => 409,
            Self::Gone => 410,
            Self::PayloadTooLarge => 413,
            Self::UriTooLong => 414,
            Self::RateLimited | Self::TooManySignIns => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal | Self::Unknown => 500,
            Self::ProviderMisconfigured => 502,
            Self::HubUnavailable
            | Self::StoreUnavailable
            | Self::ProviderUnavailable
            | Self::RefreshInProgress
            | Self::Overloaded
            | Self::Timeout => 503,
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::RateLimited
            | Self::HubUnavailable
            | Self::StoreUnavailable
            | Self::ProviderUnavailable
            | Self::RefreshInProgress
            | Self::Overloaded
            | Self::Timeout => true,
            Self::BadRequest
            | Self::UnknownProvider
            | Self::ProviderRequired
            | Self::ScopeNotAllowed
            | Self::AudienceNotAllowed
            | Self::ResourceNotAllowed
            | Self::IssuerNotAllowed
            | Self::MissingToken
            | Self::InvalidToken
            | Self::NotAServerToken
            | Self::SharedServer
            | Self::TargetRefused
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Superseded
            | Self::SignInRequired
            | Self::TokenTooShort
            | Self::Gone
            | Self::RequestTimeout
            | Self::PayloadTooLarge
            | Self::UriTooLong
            | Self::TooManySignIns
            | Self::HeadersTooLarge
            | Self::Internal
            | Self::ProviderMisconfigured
            | Self::Unknown => false,
        }
    }
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// The HTTP status, repeated.
    pub status: u16,
    /// The stable word.
    pub code: ErrorCode,
    /// A sentence that says what happened.
    pub title: String,
    /// A sentence that says what to do.
    pub detail: String,
    /// Seconds after which to try again, as in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// The media type of a problem document.
    pub const CONTENT_TYPE: &str = "application/problem+json";
}
