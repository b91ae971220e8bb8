//! The kernel's half of a sign-in.

use serde::{Deserialize, Serialize};

use crate::{
    Connection, ErrorReference, Nonce, ProviderId, Scopes, SignInFailure, TokenAnswer, scope,
    secret::{self, PollSecret, SecretUrl},
};

/// `POST /v1/sign-ins`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateSignIn {
    /// Which provider; may be left out where only one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// What to ask for; the provider's default where left out.
    #[serde(
        deserialize_with = "scope::requested",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = scope::requested_schema)]
    pub scopes: Option<Scopes>,
    /// An audience out of the provider's allow-list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// A resource (RFC 8707) out of the provider's allow-list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whose account: the provider's own id of it, its e-mail address or its name. Any where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    pub account: Option<String>,
    /// Whether a person can sign in now; `true` where left out. With `false` the answer is a connection that exists or the
    /// error `sign_in_required`, and no sign-in is opened, as with `prompt=none` of OpenID Connect.
    pub interactive: bool,
}

impl Default for CreateSignIn {
    fn default() -> Self {
        Self {
            provider: None,
            scopes: None,
            audience: None,
            resource: None,
            account: None,
            interactive: true,
        }
    }
}

/// The answer to [`CreateSignIn`].
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each request, and moved but a few times"
)]
pub enum CreateSignInAnswer {
    /// A connection of this very server fits: nothing to click.
    Connected {
        /// The connection.
        connection: Connection,
        /// A valid access token of it.
        token: TokenAnswer,
    },
    /// A person has to sign in.
    Opened(SignInOpened),
}

/// A sign-in that waits for its person. The secrets in it are said once.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignInOpened {
    /// The sign-in's handle; not the `nonce` of OpenID Connect, which no kernel sees.
    pub nonce: Nonce,
    /// Goes back in the header `Hubkey-Poll-Secret`. It plays the part of `device_code` in RFC 8628.
    #[serde(serialize_with = "secret::exposed")]
    #[schema(value_type = String)]
    pub poll_secret: PollSecret,
    /// The link for the person: a full URL that ends in the one-time ticket.
    #[serde(serialize_with = "secret::exposed")]
    #[schema(value_type = String)]
    pub sign_in_url: SecretUrl,
    /// Seconds until the sign-in ends by itself.
    pub expires_in: u64,
    /// The provider's id, also where the request left it out.
    pub provider: ProviderId,
    /// The provider's name for people.
    pub display_name: String,
    /// Whose link this is: the hub user.
    pub user: String,
    /// What is asked for beyond what a connection of this server has already; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_scopes: Option<Scopes>,
    /// Why a person is asked although this server has a connection that fits; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<SignInCause>,
}

/// Why a person is asked although there is a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignInCause {
    /// The access has ended: the provider took it back, or gave no refresh token.
    AccessEnded,
    /// The provider did not renew the access. It may do so later, and a new sign-in takes its place.
    NotRenewed,
    /// The provider refuses hubkey's registration; the sign-in may fail for the same reason, which the operator has to mend.
    RegistrationRefused,
}

impl SignInCause {
    /// Its word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessEnded => "access_ended",
            Self::NotRenewed => "not_renewed",
            Self::RegistrationRefused => "registration_refused",
        }
    }

    /// What the answer `sign_in_required` says happened.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AccessEnded => "The access has ended; a person has to sign in again.",
            Self::NotRenewed => {
                "The provider did not renew the access; a person has to sign in again."
            }
            Self::RegistrationRefused => {
                "The provider refuses hubkey's registration; a person may try to sign in."
            }
        }
    }

    /// What the card says to the person, around the provider's name.
    #[must_use]
    pub const fn on_the_card(self) -> (&'static str, &'static str) {
        match self {
            Self::AccessEnded => ("Your access to ", " has ended."),
            Self::NotRenewed => ("", " did not renew your access."),
            Self::RegistrationRefused => (
                "",
                " refuses this JupyterHub's registration. If signing in fails too, tell the operator of this JupyterHub.",
            ),
        }
    }
}

/// The answer to `GET /v1/sign-ins/{nonce}`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "one per request, moved a few times; a box would not pay"
)]
pub enum SignInStatus {
    /// Not finished; ask again.
    Pending {
        /// Milliseconds to wait before asking again.
        retry_after_ms: u64,
    },
    /// Finished. Repeated, with the same bytes, until acknowledged.
    Connected {
        /// The connection.
        connection: Connection,
        /// Its first access token.
        token: TokenAnswer,
    },
    /// Refused or cancelled. No reason is given, since it could speak of another person.
    Denied,
    /// Nobody finished it in time.
    Expired,
    /// Ended by a fault.
    Failed {
        /// Which one.
        reason: SignInFailure,
        /// What the person's page shows, and the operator finds in the audit stream.
        #[schema(value_type = String)]
        reference: ErrorReference,
    },
}
