//! Sending a refresh token (RFC 6749 section 6, OpenID Connect Core 1.0 section 12). What matters of a failure is
//! whether the token may have been used.

use std::time::Duration;

use hubkey_protocol::{
    Scopes,
    secret::{AccessToken, RefreshToken, Secret},
};
use reqwest::StatusCode;
use tokio::time::Instant;

use super::{
    IdpError, OAuthError,
    id_token::Fault,
    outbound::{Answer, Endpoint, Unanswered},
    token::{self, Handed, TokenEndpoint},
};
use crate::domain::{clock::Timestamp, connection::Proof};

/// A refresh token to send, and what the answer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Refreshable<'a> {
    /// The token.
    pub refresh_token: &'a RefreshToken,
    /// Not sent after that.
    pub send_before: Instant,
    /// The issuer that it is from: its token endpoint and no other.
    pub issuer: &'a str,
    /// Whose it is.
    pub subject: &'a str,
    /// What the ID token of the sign-in said.
    pub proof: &'a Proof,
    /// Goes along as `audience`.
    pub audience: Option<&'a str>,
    /// Goes along as `resource` (RFC 8707 section 2.2).
    pub resource: Option<&'a str>,
    /// Goes along as `scope`: fewer than were granted. All of them where absent.
    pub scopes: Option<&'a Scopes>,
}

/// What a refresh brought.
#[derive(Debug)]
pub struct Refreshed {
    /// The access token.
    pub access_token: AccessToken,
    /// The next refresh token; where there is none, the old one stays good.
    pub refresh_token: Option<RefreshToken>,
    /// Before the request was sent.
    pub obtained_at: Timestamp,
    /// When the access token ends, counted from `obtained_at`; absent where the provider did not say.
    pub expires_at: Option<Timestamp>,
    /// What it permits; as before where the provider did not say.
    pub scopes: Option<Scopes>,
    /// `iat` of the ID token, if there was one.
    pub issued_at: Option<u64>,
}

/// Why a refresh brought nothing. Carries none of the provider's own text.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Nothing was sent: no connection, or it was too late.
    #[error("the provider could not be reached")]
    NotSent,
    /// The request was refused for now; the refresh token was not used.
    #[error("the provider refused for now")]
    Refused {
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The refresh token is worth nothing any more.
    #[error("the grant is gone")]
    Revoked,
    /// The request was refused for what the operator has to change; the refresh token was not used.
    #[error("the provider refused the registration or the request")]
    Misconfigured,
    /// The request was refused for its scope, audience or resource; the refresh token was not used.
    #[error("the provider does not offer that")]
    NotOffered,
    /// The refresh token may have been used, and the answer is lost or useless.
    #[error("the provider's answer was lost")]
    Lost,
    /// The answer is for another account or breaks a rule for ID tokens; the word names it. What it brought is to be
    /// given back.
    #[error("the answer is not for this grant: {word}")]
    Foreign {
        /// Which rule.
        word: &'static str,
        /// What it brought.
        access_token: AccessToken,
        /// What it brought.
        refresh_token: Option<RefreshToken>,
    },
}

impl RefreshError {
    /// The word for measurements.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Refused { .. } => "refused",
            Self::Revoked => "revoked",
            Self::Misconfigured => "misconfigured",
            Self::NotOffered => "not_offered",
            Self::Lost => "lost",
            Self::Foreign { .. } => "foreign",
        }
    }
}

/// Whether an ID token was judged and refused, and not only signed with a key that could not be fetched.
pub(super) fn is_judgement(word: &str) -> bool {
    word.starts_with("id_token_") && word != Fault::Key.word()
}

/// Sends it.
pub(super) async fn send(
    at: TokenEndpoint<'_>,
    refreshable: &Refreshable<'_>,
) -> Result<Handed, RefreshError> {
    let mut pairs = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refreshable.refresh_token.expose()),
    ];
    pairs.extend(refreshable.audience.map(|value| ("audience", value)));
    pairs.extend(refreshable.resource.map(|value| ("resource", value)));
    let scope = refreshable.scopes.map(Scopes::to_oauth);
    pairs.extend(scope.as_deref().map(|value| ("scope", value)));
    let form = at.registration.form(&pairs);
    let form = form.map_err(|_| RefreshError::Misconfigured)?;
    let end = refreshable.send_before;
    let answer = at
        .outbound
        .post_before(Endpoint::Token, at.url, form, end)
        .await
        .map_err(unanswered)?;
    token::read(&answer, at.reading).map_err(|error| failure(error, &answer))
}

/// What is sent to learn whether a token endpoint works: no refresh token of anybody.
const NOBODYS: &str = "hubkey-probe-no-refresh-token";

/// Whether the token endpoint works, learned without risk to any grant: it has to refuse a refresh token that never was.
pub(super) async fn probe(at: TokenEndpoint<'_>) -> Result<(), IdpError> {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", NOBODYS)];
    let form = at.registration.form(&pairs)?;
    let answer = at.outbound.post(Endpoint::Token, at.url, form).await?;
    match token::read(&answer, at.reading) {
        Err(IdpError::Refused(OAuthError::Unavailable) | IdpError::OutcomeUnknown) => {
            Err(IdpError::Unavailable)
        }
        Ok(_) | Err(IdpError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// As [`probe`], only while the endpoint is left alone: then no code and no refresh token finds out whether it works again.
pub(super) async fn recover(at: TokenEndpoint<'_>) -> Result<(), IdpError> {
    if at.outbound.is_asked(Endpoint::Token) {
        return Ok(());
    }
    probe(at).await
}

fn unanswered(reason: Unanswered) -> RefreshError {
    match reason {
        Unanswered::NotPermitted => RefreshError::Misconfigured,
        Unanswered::NotSent => RefreshError::NotSent,
        Unanswered::Withheld => RefreshError::Refused { retry_after: None },
        Unanswered::Lost | Unanswered::TooLong => RefreshError::Lost,
    }
}

/// An answer that is no success. With a status of 200 that is no refusal, the token was used.
fn failure(error: IdpError, answer: &Answer) -> RefreshError {
    match error {
        IdpError::Unavailable | IdpError::Refused(OAuthError::Unavailable) => {
            RefreshError::Refused {
                retry_after: answer.retry_after(),
            }
        }
        IdpError::Refused(OAuthError::InvalidGrant | OAuthError::InteractionRequired) => {
            RefreshError::Revoked
        }
        IdpError::Refused(OAuthError::NotOffered) => RefreshError::NotOffered,
        IdpError::Refused(_) | IdpError::Misconfigured(_) => RefreshError::Misconfigured,
        IdpError::Misbehaved(_) if answer.status != StatusCode::OK => RefreshError::Misconfigured,
        IdpError::Misbehaved(_) | IdpError::OutcomeUnknown => RefreshError::Lost,
    }
}
