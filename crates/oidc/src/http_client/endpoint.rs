//! The endpoints of a provider.

use hubkey_protocol::bounds::Bound;

/// What is asked, for metrics, logs and caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Discovery,
    Jwks,
    Token,
    Userinfo,
    Revocation,
    BrokerToken,
    PushedAuthorization,
}

impl Endpoint {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::Token => "token",
            Self::Userinfo => "userinfo",
            Self::Revocation => "revocation",
            Self::BrokerToken => "broker_token",
            Self::PushedAuthorization => "pushed_authorization",
        }
    }

    pub(super) fn span(self) -> &'static str {
        match self {
            Self::Discovery => "provider discovery",
            Self::Jwks => "provider jwks",
            Self::Token => "provider token",
            Self::Userinfo => "provider userinfo",
            Self::Revocation => "provider revocation",
            Self::BrokerToken => "provider broker_token",
            Self::PushedAuthorization => "provider pushed authorization",
        }
    }

    /// The longest body that is read: of tokens, with an ID token, an access token and a refresh token of the longest
    /// (ADR 57); of key sets, with 64 keys.
    pub(super) fn cap(self) -> usize {
        match self {
            Self::Jwks => Bound::KeySet.limit(),
            Self::Discovery
            | Self::Token
            | Self::Userinfo
            | Self::Revocation
            | Self::BrokerToken
            | Self::PushedAuthorization => Bound::ProviderAnswer.limit(),
        }
    }
}
