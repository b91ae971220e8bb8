//! Sending a refresh token (RFC 6749 section 6, OpenID Connect Core 1.0 section 12). What matters of a failure is
//! whether the token may have been used.

use std::time::Duration;

use hubkey_protocol::{
    Scopes,
    secret::{AccessToken, RefreshToken, Secret},
};
use tokio::time::{Instant, timeout};

use super::{
    IdpError, OAuthError,
    outbound::{Answer, Endpoint, Unanswered},
    token::{self, Handed, TokenEndpoint},
};
use crate::domain::{
    clock::Timestamp,
    connection::{Proof, Unverified},
    refusal::Refusal,
};

/// How long a refresh that was refused waits for the witness. Shorter than what is left of a lease then.
const WITNESS: Duration = Duration::from_secs(5);

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

impl<'a> Refreshable<'a> {
    /// What the answer is judged by.
    #[must_use]
    pub fn known(&self) -> Known<'a> {
        Known {
            issuer: self.issuer,
            subject: self.subject,
            proof: self.proof,
        }
    }
}

/// What is known of a grant before a refresh, and the answer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The issuer that it is from.
    pub issuer: &'a str,
    /// Whose it is.
    pub subject: &'a str,
    /// What the ID token of the sign-in said.
    pub proof: &'a Proof,
}

/// Why what an earlier refresh brought is not handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The key is still not there.
    #[error("the ID token cannot be judged yet")]
    NotYet,
    /// It is for another account or breaks a rule for ID tokens; the word names it.
    #[error("the answer is not for this grant: {0}")]
    Foreign(&'static str),
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
    /// Nothing was sent: the endpoint failed so often lately that it is left alone.
    #[error("the provider is left alone for a while")]
    Withheld,
    /// Nothing was sent: the settings do not fit the provider.
    #[error("the settings do not fit the provider")]
    Misconfigured,
    /// The request was refused for now; the refresh token was not used.
    #[error("the provider refused for now: {refusal}")]
    Later {
        /// How.
        refusal: Refusal,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The refresh token is worth nothing any more: the provider says so in the standard's word or its own.
    #[error("the grant is gone")]
    Revoked,
    /// Hubkey's registration is refused, whatever the refresh token: the operator has to act.
    #[error("the provider refused the registration: {0}")]
    Registration(Refusal),
    /// The request was refused in other words, which may mean this refresh token.
    #[error("the provider refused: {refusal}")]
    Rejected {
        /// How.
        refusal: Refusal,
        /// Whether a refresh token that never was is refused in the same way; absent where that is not known.
        everybody: Option<bool>,
    },
    /// The refresh token may have been used, and the answer is lost or useless.
    #[error("the provider's answer was lost")]
    Lost,
    /// The answer is useless, but for the next refresh token.
    #[error("the provider's answer brought a refresh token and nothing else")]
    Unusable {
        /// The next refresh token.
        refresh_token: RefreshToken,
    },
    /// The answer is good, and the key that its ID token was signed with could not be looked up. What it brought may be
    /// judged later (OpenID Connect Core 1.0 section 12.2).
    #[error("the ID token cannot be judged yet")]
    Unverified {
        /// The next refresh token.
        refresh_token: Option<RefreshToken>,
        /// The rest of it.
        unverified: Box<Unverified>,
    },
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
            Self::Withheld => "withheld",
            Self::Misconfigured => "misconfigured",
            Self::Later { .. } => "later",
            Self::Revoked => "revoked",
            Self::Registration(_) => "registration",
            Self::Rejected { .. } => "rejected",
            Self::Lost => "lost",
            Self::Unusable { .. } => "unusable",
            Self::Unverified { .. } => "unverified",
            Self::Foreign { .. } => "foreign",
        }
    }
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
    match token::read(&answer, at.reading) {
        Ok(handed) => Ok(handed),
        Err(error) => match failure(error, &answer, refreshable.refresh_token) {
            RefreshError::Rejected { refusal, .. } => Err(witnessed(at, refusal).await),
            other => Err(other),
        },
    }
}

/// A refusal that is not of the standard's word for a dead token, with what a token that never was meets.
async fn witnessed(at: TokenEndpoint<'_>, refusal: Refusal) -> RefreshError {
    let witness = timeout(WITNESS, probe(at)).await;
    let witness = witness.ok().and_then(Result::ok).flatten();
    let same_kind = witness
        .as_ref()
        .is_some_and(Refusal::may_mean_the_registration);
    if refusal.may_mean_the_registration() && same_kind {
        return RefreshError::Registration(refusal);
    }
    RefreshError::Rejected {
        everybody: witness.map(|witness| witness == refusal),
        refusal,
    }
}

/// What is sent to learn whether a token endpoint works: no refresh token of anybody.
const NOBODYS: &str = "hubkey-probe-no-refresh-token";

/// Whether the token endpoint works, learned without risk to any grant: it has to refuse a refresh token that never was.
/// Every whole answer with a 4xx status says that it does, in whatever words, but for one that asks for patience. With how
/// it refused.
pub(super) async fn probe(at: TokenEndpoint<'_>) -> Result<Option<Refusal>, IdpError> {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", NOBODYS)];
    let form = at.registration.form(&pairs)?;
    let answer = at.outbound.post(Endpoint::Token, at.url, form).await?;
    match token::read(&answer, at.reading) {
        Ok(_) => Ok(None),
        Err(IdpError::Refused(OAuthError::Unavailable) | IdpError::Unavailable) => {
            Err(IdpError::Unavailable)
        }
        Err(IdpError::Refused(_)) => Ok(Some(token::refusal_of(&answer))),
        Err(_) if answer.status.is_client_error() => Ok(Some(token::refusal_of(&answer))),
        Err(IdpError::OutcomeUnknown) => Err(IdpError::Unavailable),
        Err(error) => Err(error),
    }
}

/// As [`probe`], only while the endpoint is left alone: then no code and no refresh token finds out whether it works again.
pub(super) async fn recover(at: TokenEndpoint<'_>) -> Result<(), IdpError> {
    if at.outbound.is_asked(Endpoint::Token) {
        return Ok(());
    }
    probe(at).await.map(|_| ())
}

fn unanswered(reason: Unanswered) -> RefreshError {
    match reason {
        Unanswered::NotPermitted => RefreshError::Misconfigured,
        Unanswered::NotSent => RefreshError::NotSent,
        Unanswered::Withheld => RefreshError::Withheld,
        Unanswered::Lost | Unanswered::TooLong => RefreshError::Lost,
    }
}

/// An answer that is no success. One with a status of success that is no refusal says that the token was used.
fn failure(error: IdpError, answer: &Answer, sent: &RefreshToken) -> RefreshError {
    let is_refusal = answer.status.is_client_error() || answer.status.is_redirection();
    match error {
        IdpError::Unavailable | IdpError::Refused(OAuthError::Unavailable) => RefreshError::Later {
            refusal: token::refusal_of(answer),
            retry_after: answer.retry_after(),
        },
        IdpError::Refused(OAuthError::InvalidGrant) => RefreshError::Revoked,
        IdpError::Refused(_) => rejected(answer),
        _ if is_refusal => rejected(answer),
        _ => match token::next_refresh_token(answer, sent) {
            Some(refresh_token) => RefreshError::Unusable { refresh_token },
            None => RefreshError::Lost,
        },
    }
}

fn rejected(answer: &Answer) -> RefreshError {
    RefreshError::Rejected {
        refusal: token::refusal_of(answer),
        everybody: None,
    }
}
