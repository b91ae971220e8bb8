//! Why a JWT is refused.

use crate::error::{ID_TOKEN_TOO_LONG, IdpError};

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JwtError {
    TooLong,
    Form,
    Encrypted,
    Critical,
    Type,
    Algorithm,
    UnknownAlgorithm,
    KeyId,
    Key,
    Signature,
    Issuer,
    Audience,
    AuthorizedParty,
    Expiry,
    IssuedAt,
    NotBefore,
    Nonce,
    Subject,
    Context,
    AuthenticationTime,
    AccessTokenHash,
    CodeHash,
}

impl JwtError {
    /// The word for logs and the audit stream.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::TooLong => ID_TOKEN_TOO_LONG,
            Self::Form => "id_token_form",
            Self::Encrypted => "id_token_encrypted",
            Self::Critical => "id_token_crit",
            Self::Type => "id_token_typ",
            Self::Algorithm | Self::UnknownAlgorithm => "id_token_alg",
            Self::KeyId => "id_token_kid",
            Self::Key => "id_token_key",
            Self::Signature => "id_token_signature",
            Self::Issuer => "id_token_iss",
            Self::Audience => "id_token_aud",
            Self::AuthorizedParty => "id_token_azp",
            Self::Expiry => "id_token_exp",
            Self::IssuedAt => "id_token_iat",
            Self::NotBefore => "id_token_nbf",
            Self::Nonce => "id_token_nonce",
            Self::Subject => "id_token_sub",
            Self::Context => "id_token_acr",
            Self::AuthenticationTime => "id_token_auth_time",
            Self::AccessTokenHash => "id_token_at_hash",
            Self::CodeHash => "id_token_c_hash",
        }
    }
}

impl From<JwtError> for IdpError {
    fn from(fault: JwtError) -> Self {
        match fault {
            JwtError::Encrypted | JwtError::UnknownAlgorithm => Self::NotSupported(fault.word()),
            _ => Self::ProtocolViolation(fault.word()),
        }
    }
}
