//! The audit stream: who did what to which sign-in or connection. Events have stable names and no secrets.

use aws_lc_rs::digest;
use hubkey_domain::{
    clock::Timestamp,
    connection::Connection,
    identity::{HubUser, ServerIdentity},
    sign_in::SignIn,
};
use hubkey_protocol::{ConnectionId, ErrorReference, Nonce, ProviderId, SignInFailure};
use hubkey_service::telemetry::{AUDIT, UserName};
use hubkey_store::keys::KeyId;

/// What happened; `docs/reference/audit-events.md` says when each is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A kernel opened a sign-in.
    SignInStarted,
    /// A browser of the sign-in's hub user opened the link.
    LinkOpened,
    /// A browser of another hub user opened the link; it is burned.
    LinkOpenedByOtherUser,
    /// A browser is not, or no longer, the sign-in's hub user.
    HubUserMismatch,
    /// The Hub did not say who a browser is.
    HubUnavailable,
    /// The confirmation page was prepared.
    AccountConfirmationShown,
    /// The person confirmed.
    AccountConfirmationAccepted,
    /// The person cancelled.
    AccountConfirmationCancelled,
    /// An account was linked to a hub user.
    AccountLinked,
    /// An account belongs to another hub user, or does not fit this one.
    AccountLinkConflict,
    /// Whose an account is was sealed with a key that is held no more, so its hub user cannot sign in with it.
    OwnerUnreadable,
    /// A provider granted a connection.
    TokenIssued,
    /// A provider gave a new access token for an old one.
    TokenRefreshed,
    /// A provider exchanged an access token for one of another API or provider.
    TokenExchanged,
    /// A kernel got an access token.
    TokenDelivered,
    /// A kernel or the provider said that an access token is rejected before its end; nobody gets it any more.
    TokenRejected,
    /// A grant is gone: the provider took it back, or hubkey let it go.
    GrantEnded,
    /// A provider was told to revoke what had ended here, and took that (RFC 7009).
    TokenRevoked,
    /// A provider was not told, or did not take it: what had ended here is forgotten, and lives there until its own end.
    TokenForgotten,
    /// A provider refused a refresh without saying that the grant is gone; its person is asked to sign in.
    GrantSuspended,
    /// A provider refused a refresh token that may have been used before.
    ReuseDetected,
    /// A stored record could not be opened.
    RecordDecryptionFailed,
    /// A request that a rule refuses: a wrong cookie, state, CSRF token, issuer or wish.
    PolicyDenied,
    /// The store failed, or another request was first: nobody's fault.
    RequestFailed,
    /// A provider refused, failed or broke a rule.
    ProviderFailed,
    /// A kernel cancelled its sign-in.
    SignInCancelled,
}

impl EventKind {
    /// The event's stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignInStarted => "sign_in_started",
            Self::LinkOpened => "link_opened",
            Self::LinkOpenedByOtherUser => "link_opened_by_other_user",
            Self::HubUserMismatch => "hub_user_mismatch",
            Self::HubUnavailable => "hub_unavailable",
            Self::AccountConfirmationShown => "account_confirmation_shown",
            Self::AccountConfirmationAccepted => "account_confirmation_accepted",
            Self::AccountConfirmationCancelled => "account_confirmation_cancelled",
            Self::AccountLinked => "account_linked",
            Self::AccountLinkConflict => "account_link_conflict",
            Self::OwnerUnreadable => "owner_unreadable",
            Self::TokenIssued => "token_issued",
            Self::TokenRefreshed => "token_refreshed",
            Self::TokenExchanged => "token_exchanged",
            Self::TokenDelivered => "token_delivered",
            Self::TokenRejected => "token_rejected",
            Self::GrantEnded => "grant_ended",
            Self::TokenRevoked => "token_revoked",
            Self::TokenForgotten => "token_forgotten",
            Self::GrantSuspended => "grant_suspended",
            Self::ReuseDetected => "reuse_detected",
            Self::RecordDecryptionFailed => "record_decryption_failed",
            Self::PolicyDenied => "policy_denied",
            Self::RequestFailed => "request_failed",
            Self::ProviderFailed => "provider_failed",
            Self::SignInCancelled => "sign_in_cancelled",
        }
    }
}

/// The event that says how a sign-in ended without a connection.
impl From<SignInFailure> for EventKind {
    fn from(failure: SignInFailure) -> Self {
        match failure {
            SignInFailure::Cancelled => Self::AccountConfirmationCancelled,
            SignInFailure::AccountRefused | SignInFailure::AccountDiffers => {
                Self::AccountLinkConflict
            }
            SignInFailure::OwnerUnreadable => Self::OwnerUnreadable,
            SignInFailure::StoreUnavailable => Self::RequestFailed,
            SignInFailure::HubUnavailable => Self::HubUnavailable,
            SignInFailure::AccessDenied
            | SignInFailure::InteractionRequired
            | SignInFailure::CodeExpired
            | SignInFailure::NotOffered
            | SignInFailure::ProviderUnavailable
            | SignInFailure::OutcomeUnknown
            | SignInFailure::ProviderMisconfigured
            | SignInFailure::NotSupported
            | SignInFailure::ProviderProtocolError
            | SignInFailure::AnswerTooLong
            | SignInFailure::CookiesTooLong => Self::ProviderFailed,
        }
    }
}

/// One event, as far as it is known.
#[derive(Debug, Default)]
#[must_use = "an event is written by `emit`"]
pub struct Event<'a> {
    user: Option<&'a str>,
    user_created: Option<Timestamp>,
    actor: Option<&'a str>,
    server: Option<&'a str>,
    provider: Option<&'a str>,
    sign_in: Option<String>,
    connection: Option<String>,
    source: Option<&'a str>,
    reference: Option<&'a ErrorReference>,
    reason: Option<&'a str>,
    key_id: Option<KeyId>,
    suppressed: Option<u64>,
}

impl<'a> Event<'a> {
    /// About nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// About a sign-in.
    pub fn for_sign_in(sign_in: &'a SignIn) -> Self {
        let event = Self::new()
            .kernel(&sign_in.kernel)
            .provider(&sign_in.provider);
        Self {
            sign_in: Some(short(sign_in.nonce.as_str())),
            ..event
        }
    }

    /// About a sign-in of which only the nonce is known.
    pub fn sign_in(self, nonce: &Nonce) -> Self {
        Self {
            sign_in: Some(short(nonce.as_str())),
            ..self
        }
    }

    /// Of a connection, with its server and provider.
    pub fn for_connection(connection: &'a Connection) -> Self {
        Self::new()
            .kernel(&connection.kernel)
            .provider(&connection.provider)
            .connection(&connection.id)
    }

    /// Of a kernel.
    pub fn kernel(self, kernel: &'a ServerIdentity) -> Self {
        Self {
            user: Some(kernel.user.as_str()),
            user_created: kernel.user.created(),
            server: Some(kernel.server.as_str()),
            ..self
        }
    }

    /// Of a hub user.
    pub fn hub_user(self, user: &'a HubUser) -> Self {
        Self {
            user: Some(user.as_str()),
            ..self
        }
    }

    /// At a provider.
    pub fn provider(self, provider: &'a ProviderId) -> Self {
        Self {
            provider: Some(provider.as_str()),
            ..self
        }
    }

    /// Of a connection.
    pub fn connection(self, id: &ConnectionId) -> Self {
        Self {
            connection: Some(short(id.as_str())),
            ..self
        }
    }

    /// By a hub user other than the one that it is about.
    pub fn actor(self, user: &'a str) -> Self {
        Self {
            actor: Some(user),
            ..self
        }
    }

    /// From an address.
    pub fn source(self, source: Option<&'a str>) -> Self {
        Self { source, ..self }
    }

    /// Shown to the person with this reference.
    pub fn reference(self, reference: &'a ErrorReference) -> Self {
        Self {
            reference: Some(reference),
            ..self
        }
    }

    /// Because of this; one of our own words.
    pub fn reason(self, reason: &'a str) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }

    /// Of an encryption key, by its public name.
    pub fn key(self, key_id: Option<KeyId>) -> Self {
        Self { key_id, ..self }
    }

    /// So many events of this kind were not written since the last one.
    pub fn suppressed(self, count: u64) -> Self {
        Self {
            suppressed: (count > 0).then_some(count),
            ..self
        }
    }

    /// Whether it says of which hub user it is, or by which.
    #[must_use]
    pub fn names_hub_user(&self) -> bool {
        self.user.is_some() || self.actor.is_some()
    }

    /// Because of what; empty where nothing was said.
    #[must_use]
    pub fn reason_or_empty(&self) -> &'a str {
        self.reason.unwrap_or_default()
    }

    /// Writes the event into the stream.
    pub fn emit(self, kind: EventKind) {
        tracing::info!(
            target: AUDIT,
            event = kind.name(),
            user = self.user.map(shown),
            user_created = self.user_created.and_then(Timestamp::to_rfc3339),
            actor = self.actor.map(shown),
            server = self.server.map(shown),
            provider = self.provider,
            sign_in = self.sign_in,
            connection = self.connection,
            source = self.source.map(shown),
            reference = self.reference.map(ErrorReference::as_str),
            reason = self.reason,
            key_id = self.key_id.map(tracing::field::display),
            suppressed = self.suppressed,
        );
    }
}

/// The first eight hexadecimal digits of a handle's hash: enough to follow it through the stream, useless elsewhere.
#[must_use]
pub fn short(handle: &str) -> String {
    let hash = digest::digest(&digest::SHA256, handle.as_bytes());
    hex(&hash.as_ref()[..4])
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
            text
        })
}

/// A name from outside, as it may stand in a line.
fn shown(name: &str) -> impl tracing::Value + use<'_> {
    tracing::field::display(UserName(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_failures_names_the_event_that_is_written() {
        for failure in SignInFailure::ALL {
            assert_eq!(EventKind::from(*failure).name(), failure.row().audit_event);
        }
    }
}
