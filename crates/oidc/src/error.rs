//! Why a provider did not do as asked.

use hubkey_protocol::provider_rules::ProviderRule;

/// Why a provider did not do as asked. Carries none of the provider's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdpError {
    /// It could not be reached, or says that it has trouble. Nothing was redeemed.
    #[error("the provider did not answer")]
    Unavailable,
    /// The code may have been redeemed, and the answer was lost. Never tried again: a code is sent once.
    #[error("the provider's answer was lost")]
    OutcomeUnknown,
    /// It refused with this code of RFC 6749 or OpenID Connect.
    #[error("the provider refused")]
    Refused(OAuthError),
    /// What it sent breaks this rule.
    #[error("what the provider sent is refused: {}", .0.name())]
    RuleBroken(ProviderRule),
    /// The settings cannot be used, or it refuses hubkey's registration; the word names what.
    #[error("the settings for the provider do not fit: {0}")]
    Misconfigured(&'static str),
    /// Its userinfo cannot be used.
    #[error("the provider's userinfo cannot be used: {}", .0.word())]
    Userinfo(UserinfoError),
}

/// Why the answer of a userinfo endpoint cannot be used (OpenID Connect Core 1.0 section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserinfoError {
    /// The endpoint refused the access token (RFC 6750 section 3.1: `invalid_token`).
    TokenRefused,
    /// The endpoint does not answer this question, to this token or to anybody.
    Refused,
    /// It is about another account than that of the ID token (section 5.3.2).
    SubjectMismatch,
    /// It is neither a JSON object nor a signed JWT for us: it breaks this rule.
    Unreadable(ProviderRule),
}

impl UserinfoError {
    /// The word for logs and the audit stream.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TokenRefused => "userinfo_token_refused",
            Self::Refused => "userinfo_refused",
            Self::SubjectMismatch => ProviderRule::UserinfoSubject.name(),
            Self::Unreadable(rule) => rule.name(),
        }
    }
}

impl From<ProviderRule> for IdpError {
    fn from(broken: ProviderRule) -> Self {
        Self::RuleBroken(broken)
    }
}

/// The standard error codes of authorization and token endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthError {
    /// `access_denied`, and what only a request with `prompt=none` can mean otherwise, which hubkey never sends:
    /// `login_required`, `consent_required`, `account_selection_required`
    AccessDenied,
    /// `interaction_required`
    InteractionRequired,
    /// `invalid_request_uri`: the pushed request is over, and the person has to begin anew (RFC 9126 section 4)
    RequestExpired,
    /// `invalid_scope`, `invalid_target`
    NotOffered,
    /// `temporarily_unavailable`, `server_error`
    Unavailable,
    /// `invalid_client`, `unauthorized_client`, `invalid_request`, `unsupported_response_type` and their like
    Misconfigured,
    /// `invalid_grant`
    InvalidGrant,
    /// `invalid_token`: what an access token is refused with (RFC 6750 section 3.1)
    InvalidToken,
    /// Any other.
    Other,
}

impl OAuthError {
    /// Reads an `error` parameter or member.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        match code {
            "access_denied"
            | "login_required"
            | "consent_required"
            | "account_selection_required" => Self::AccessDenied,
            "interaction_required" => Self::InteractionRequired,
            "invalid_request_uri" => Self::RequestExpired,
            "invalid_scope" | "invalid_target" => Self::NotOffered,
            "temporarily_unavailable" | "server_error" => Self::Unavailable,
            // All but the first are GitHub's words.
            "invalid_grant" | "bad_refresh_token" | "bad_verification_code" => Self::InvalidGrant,
            "invalid_token" => Self::InvalidToken,
            "invalid_client"
            | "unauthorized_client"
            | "invalid_request"
            | "unsupported_response_type"
            | "unsupported_grant_type"
            | "incorrect_client_credentials"
            | "redirect_uri_mismatch"
            | "request_not_supported"
            | "request_uri_not_supported" => Self::Misconfigured,
            _ => Self::Other,
        }
    }

    /// A code that is a standard's or known, as one of our own words; any other says nothing to us.
    #[must_use]
    pub fn standard(code: &str) -> Option<&'static str> {
        STANDARD.into_iter().find(|known| *known == code)
    }
}

/// What token endpoints say (RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 8707 section 2, OpenID Connect
/// Core 1.0 section 3.1.2.6), and GitHub's words.
const STANDARD: [&str; 20] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "insufficient_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "login_required",
    "interaction_required",
    "consent_required",
    "account_selection_required",
    "incorrect_client_credentials",
    "redirect_uri_mismatch",
    "bad_refresh_token",
    "bad_verification_code",
];
