//! Telling a provider to revoke tokens (RFC 7009).

use std::time::Duration;

use hubkey_protocol::secret::{AccessToken, RefreshToken, Secret};
use tokio::time::sleep;
use url::Url;

use crate::{
    RevocationOutcome,
    client_auth::ClientAuth,
    http_client::{Answer, Endpoint, HttpClient, RequestError},
    refusal::{self, Question, RefusalKind},
};

/// How often a provider is told that does not answer, or asks to come later.
const TRIES: u32 = 4;
/// After the first time; twice as long each time, unless the provider says how long.
const PAUSE: Duration = Duration::from_secs(1);
/// Nobody asks to come later than that and means it.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What one attempt came to.
enum Attempt {
    Done(RevocationOutcome),
    Again(Duration),
}

/// The refresh token first: at many providers its end is the end of all. Whatever is wrong with one, the other is told
/// too (RFC 7009 section 2.2.1).
pub(crate) async fn revoke(
    (url, client_auth): (&Url, &ClientAuth),
    http: &HttpClient,
    access_token: &AccessToken,
    refresh_token: Option<&RefreshToken>,
) -> RevocationOutcome {
    let refresh_token = refresh_token.map(|token| (token.expose(), "refresh_token"));
    let tokens = refresh_token
        .into_iter()
        .chain([(access_token.expose(), "access_token")]);
    let mut outcomes = Vec::new();
    for (token, hint) in tokens {
        let outcome = revoke_token((url, client_auth), http, token, hint).await;
        if outcome != RevocationOutcome::Revoked {
            tracing::warn!(
                provider = http.provider().as_str(),
                token = hint,
                reason = outcome.word(),
                "A token could not be revoked at its provider; it is forgotten here, and lives there until its own end."
            );
        }
        outcomes.push(outcome);
    }
    // The first of them: where there is a refresh token, what became of that says most.
    let forgotten = outcomes
        .into_iter()
        .find(|outcome| *outcome != RevocationOutcome::Revoked);
    forgotten.unwrap_or(RevocationOutcome::Revoked)
}

/// Until the provider has taken it, or has refused it for good.
async fn revoke_token(
    (url, client_auth): (&Url, &ClientAuth),
    http: &HttpClient,
    token: &str,
    hint: &str,
) -> RevocationOutcome {
    for attempt in 0..TRIES {
        // Each time anew: an assertion of the client is good once.
        let pairs = [("token", token), ("token_type_hint", hint)];
        let Ok(form) = client_auth.form(&pairs) else {
            return RevocationOutcome::Refused;
        };
        let answer = http.post(Endpoint::Revocation, url, form).await;
        match judge(&answer, PAUSE * 2_u32.pow(attempt)) {
            Attempt::Done(outcome) => return outcome,
            Attempt::Again(pause) if attempt + 1 < TRIES => sleep(pause.min(LONGEST_PAUSE)).await,
            Attempt::Again(_) => {}
        }
    }
    RevocationOutcome::Unreachable
}

fn judge(answer: &Result<Answer, RequestError>, usual: Duration) -> Attempt {
    match answer {
        Ok(answer) if answer.status.is_success() => Attempt::Done(RevocationOutcome::Revoked),
        Ok(answer) => match refusal::judge(Question::Revocation, answer).kind {
            RefusalKind::Later => Attempt::Again(answer.retry_after().unwrap_or(usual)),
            // What is over need not be revoked.
            RefusalKind::TokenDead => Attempt::Done(RevocationOutcome::Revoked),
            RefusalKind::Registration | RefusalKind::NotPermitted | RefusalKind::Unknown => {
                Attempt::Done(RevocationOutcome::Refused)
            }
        },
        Err(
            RequestError::ConnectFailed | RequestError::CircuitOpen | RequestError::ResponseLost,
        ) => Attempt::Again(usual),
        Err(RequestError::EgressDenied | RequestError::ResponseTooLarge) => {
            Attempt::Done(RevocationOutcome::Refused)
        }
    }
}
