//! Connections that nobody had to sign in for.

use hubkey_domain::{
    access_request::AccessRequest,
    clock::Timestamp,
    connection::{Connection, Grant, IdTokenAnchor, Narrowing},
    identity::ServerIdentity,
    refresh_state::{Lifetime, RefreshState},
    token_set::TokenSet,
};
use hubkey_protocol::{
    Account, ConnectionId, ProviderId, Scopes,
    secret::{AccessToken, OidcNonce, RefreshToken},
};

/// Where a connection leads.
pub(crate) struct Origin<'a> {
    pub(crate) provider: &'a str,
    pub(crate) issuer: String,
    pub(crate) subject: &'a str,
}

/// What a sign-in leaves that ends now, with tokens that live for this time.
pub(crate) fn connection(
    id: &ConnectionId,
    kernel: &ServerIdentity,
    origin: &Origin<'_>,
    (access, refresh): (&str, &str),
    (now, lifetime): (Timestamp, Lifetime),
) -> Connection {
    let scopes = Scopes::parse("openid").unwrap();
    Connection {
        id: id.clone(),
        kernel: kernel.clone(),
        others: Vec::new(),
        provider: ProviderId::parse(origin.provider).unwrap(),
        wish: AccessRequest {
            scopes: scopes.clone(),
            audience: None,
            resource: None,
            account: None,
        },
        since: now,
        extended_at: now,
        grant: Grant {
            issuer: origin.issuer.clone(),
            account: Account {
                sub: origin.subject.to_owned(),
                name: None,
                email: None,
            },
            tokens: TokenSet {
                access_token: AccessToken::new(access),
                refresh_token: Some(RefreshToken::new(refresh)),
                obtained_at: lifetime.obtained_at,
                expires_at: lifetime.expires_at,
                scopes,
            },
            token_type: "Bearer".to_owned(),
            serial: 0,
            proof: IdTokenAnchor {
                issued_at: 0,
                auth_time: None,
                oidc_nonce: OidcNonce::new("n"),
                session: None,
                algorithm: None,
            },
            narrowing: Narrowing::default(),
        },
        renewal: RefreshState::Idle,
        unverified: None,
        rejection: None,
    }
}
