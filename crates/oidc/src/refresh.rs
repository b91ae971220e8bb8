//! Sending a refresh token (RFC 6749 section 6, OpenID Connect Core 1.0 section 12). What matters of a failure is
//! whether the token may have been used.

use std::time::Duration;

use hubkey_domain::refusal::Refusal;
use hubkey_protocol::{
    Scopes,
    provider_rules::ProviderRule,
    secret::{RefreshToken, Secret},
};
use tokio::time::timeout;

use crate::{
    IdpError, RefreshError, Refreshable,
    http_client::{Answer, Endpoint, RequestError},
    refusal::{self, Question, RefusalKind},
    token::{self, TokenEndpoint, TokenResponse},
};

/// How long a refresh that was refused waits for the witness. Shorter than what is left of a lease then.
const WITNESS: Duration = Duration::from_secs(5);

/// Sends it.
pub(crate) async fn send(
    at: TokenEndpoint<'_>,
    refreshable: &Refreshable<'_>,
) -> Result<TokenResponse, RefreshError> {
    let mut pairs = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refreshable.refresh_token.expose()),
    ];
    pairs.extend(refreshable.audience.map(|value| ("audience", value)));
    pairs.extend(refreshable.resource.map(|value| ("resource", value)));
    let scope = refreshable.scopes.map(Scopes::to_oauth);
    pairs.extend(scope.as_deref().map(|value| ("scope", value)));
    let form = at.client_auth.form(&pairs);
    let form = form.map_err(|_| RefreshError::Misconfigured)?;
    let end = refreshable.send_before;
    let answer = at
        .http
        .post_before(Endpoint::Token, at.url, form, end)
        .await
        .map_err(request_error)?;
    match token::read(Question::Refresh, &answer, at.dialect) {
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
pub(crate) async fn probe(at: TokenEndpoint<'_>) -> Result<Option<Refusal>, IdpError> {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", NOBODYS)];
    let form = at.client_auth.form(&pairs)?;
    let answer = at.http.post(Endpoint::Token, at.url, form).await?;
    if token::read(Question::Refresh, &answer, at.dialect).is_ok() {
        return Ok(None);
    }
    let judged = refusal::judge(Question::Refresh, &answer);
    match judged.kind {
        RefusalKind::Later => Err(IdpError::Unavailable),
        _ if judged.error.is_some() || answer.status.is_client_error() => Ok(Some(judged.refusal)),
        _ if answer.status.is_server_error() => Err(IdpError::Unavailable),
        _ => Err(IdpError::RuleBroken(ProviderRule::TokenContentType)),
    }
}

/// As [`probe`], only while the endpoint is left alone: then no code and no refresh token finds out whether it works again.
pub(crate) async fn recover(at: TokenEndpoint<'_>) -> Result<(), IdpError> {
    if at.http.is_asked(Endpoint::Token) {
        return Ok(());
    }
    probe(at).await.map(|_| ())
}

fn request_error(reason: RequestError) -> RefreshError {
    match reason {
        RequestError::EgressDenied => RefreshError::Misconfigured,
        RequestError::ConnectFailed => RefreshError::NotSent,
        RequestError::CircuitOpen => RefreshError::CircuitOpen,
        RequestError::ResponseLost | RequestError::ResponseTooLarge => RefreshError::Lost,
    }
}

/// An answer that is no success. One with a status of success that is no refusal says that the token was used.
fn failure(error: IdpError, answer: &Answer, sent: &RefreshToken) -> RefreshError {
    let judged = refusal::judge(Question::Refresh, answer);
    let is_refusal = matches!(error, IdpError::Refused(_))
        || answer.status.is_client_error()
        || answer.status.is_redirection();
    match judged.kind {
        RefusalKind::Later => RefreshError::Later {
            refusal: judged.refusal,
            retry_after: answer.retry_after(),
        },
        RefusalKind::TokenDead => RefreshError::Revoked,
        RefusalKind::Registration | RefusalKind::NotPermitted | RefusalKind::Unknown
            if is_refusal =>
        {
            RefreshError::Rejected {
                refusal: judged.refusal,
                everybody: None,
            }
        }
        RefusalKind::Registration | RefusalKind::NotPermitted | RefusalKind::Unknown => {
            match token::next_refresh_token(answer, sent) {
                Some(refresh_token) => RefreshError::Unusable { refresh_token },
                None => RefreshError::Lost,
            }
        }
    }
}
