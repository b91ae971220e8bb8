//! Secrets: values that cannot print, serialize by accident or be compared in varying time.
//!
//! The inner text has one door, `expose`. A message that must carry a secret names that field's
//! `#[serde(serialize_with = "secret::exposed")]`; there is no other way out through serde.

use std::fmt;

use serde::{Deserialize, Deserializer, Serializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value that must not be shown.
pub trait Secret {
    /// The secret itself. Whoever calls this answers for where it goes.
    fn expose(&self) -> &str;
}

/// Serializes a secret in clear: for the one field of a message that exists to carry it.
pub fn exposed<T: Secret, S: Serializer>(secret: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// As [`exposed`], for an optional field.
pub fn exposed_option<T: Secret, S: Serializer>(
    secret: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_some(secret.expose()),
        None => serializer.serialize_none(),
    }
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name(String);

        impl $name {
            /// Takes a text as this secret.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Whether both are the same, in time that depends on their lengths only.
            #[must_use]
            pub fn matches(&self, other: &Self) -> bool {
                self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
            }
        }

        impl Secret for $name {
            fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident: Clone) => {
        secret!($(#[$doc])* $name);

        impl Clone for $name {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }
    };
}

secret!(
    /// What a kernel proves with in which server it runs: the `JUPYTERHUB_API_TOKEN` of a single-user server.
    ServerToken: Clone
);
secret!(
    /// What a browser's flow asks the Hub with who the browser is: an access token of the Hub's own OAuth.
    HubAccessToken: Clone
);
secret!(
    /// A provider's access token. Opaque: never parsed (RFC 9068 section 6).
    AccessToken: Clone
);
secret!(
    /// A provider's refresh token. Never leaves the broker but to the provider's token endpoint.
    RefreshToken: Clone
);
secret!(
    /// A provider's ID token. Kept only until its signature can be checked.
    IdToken: Clone
);
secret!(
    /// What the kernel, and nobody else, holds to collect the result of its sign-in.
    PollSecret: Clone
);
secret!(
    /// The one-time value in the link that the person clicks.
    Ticket: Clone
);
secret!(
    /// The value of a flow cookie: ties a flow to one browser.
    FlowCookie: Clone
);
secret!(
    /// The one-time value of a form on one of our pages.
    CsrfToken: Clone
);
secret!(
    /// The OAuth `state` of a redirect to the Hub or to a provider: `<flow>.<random>`.
    State: Clone
);
secret!(
    /// A URL that holds a secret: a link with its ticket, or a redirect with its `state`.
    SecretUrl: Clone
);
secret!(
    /// An authorization code. No `Clone`: it is redeemed once (RFC 6749 section 4.1.2).
    AuthorizationCode
);
secret!(
    /// A PKCE verifier (RFC 7636). No `Clone`: it belongs to one redemption.
    PkceVerifier
);
secret!(
    /// The OIDC `nonce` of one authorization request.
    OidcNonce: Clone
);
secret!(
    /// A client secret at a provider, or the Hub's API token of the hubkey service.
    ClientSecret: Clone
);
secret!(
    /// The private key, as PEM, by which the broker proves itself to a provider (RFC 7523).
    ClientKey: Clone
);
secret!(
    /// What an outbound proxy asks hubkey for. Goes to the proxy only.
    ProxyPassword: Clone
);
secret!(
    /// A logout token: good once, for whoever has it (OpenID Connect Back-Channel Logout 1.0).
    LogoutToken: Clone
);
secret!(
    /// The credential by which callback-server proves itself to the broker's internal listener.
    SharedSecret: Clone
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_l4_debug_of_every_secret_is_redacted() {
        let shown = [
            format!("{:?}", ServerToken::new("canary")),
            format!("{:?}", HubAccessToken::new("canary")),
            format!("{:?}", AccessToken::new("canary")),
            format!("{:?}", RefreshToken::new("canary")),
            format!("{:?}", PollSecret::new("canary")),
            format!("{:?}", Ticket::new("canary")),
            format!("{:?}", FlowCookie::new("canary")),
            format!("{:?}", CsrfToken::new("canary")),
            format!("{:?}", State::new("canary")),
            format!("{:?}", SecretUrl::new("canary")),
            format!("{:?}", AuthorizationCode::new("canary")),
            format!("{:?}", PkceVerifier::new("canary")),
            format!("{:?}", OidcNonce::new("canary")),
            format!("{:?}", ClientSecret::new("canary")),
            format!("{:?}", ClientKey::new("canary")),
            format!("{:?}", ProxyPassword::new("canary")),
            format!("{:?}", LogoutToken::new("canary")),
            format!("{:?}", SharedSecret::new("canary")),
        ];
        for text in shown {
            assert!(text.ends_with("([redacted])"), "{text}");
        }
    }

    #[test]
    fn equal_secrets_match_and_others_do_not() {
        assert!(Ticket::new("a").matches(&Ticket::new("a")));
        assert!(!Ticket::new("a").matches(&Ticket::new("b")));
        assert!(!Ticket::new("a").matches(&Ticket::new("aa")));
    }
}
