//! The endpoints of the provider.

/// What the provider can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /.well-known/openid-configuration` (also `oauth-authorization-server`)
    Discovery,
    /// `GET /jwks`
    Jwks,
    /// `GET /authorize`
    Authorize,
    /// `POST /token`
    Token,
    /// `GET /userinfo`
    UserInfo,
    /// `POST /revoke`
    Revocation,
    /// `POST /par`
    PushedAuthorization,
    /// `GET /broker/{alias}/token`, as Keycloak has it
    BrokerToken,
    /// Anything else: 404.
    Other,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
                Self::Discovery
            }
            "/jwks" => Self::Jwks,
            "/authorize" => Self::Authorize,
            "/token" => Self::Token,
            "/userinfo" => Self::UserInfo,
            "/revoke" => Self::Revocation,
            "/par" => Self::PushedAuthorization,
            _ if path.starts_with("/broker/") => Self::BrokerToken,
            _ => Self::Other,
        }
    }
}
