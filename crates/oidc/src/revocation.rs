//! Telling a provider to forget tokens (RFC 7009).

use std::time::Duration;

use http::StatusCode;
use hubkey_protocol::secret::{AccessToken, RefreshToken, Secret};
use tokio::time::sleep;
use url::Url;

use crate::{
    client_auth::ClientAuth,
    http_client::{Answer, Endpoint, HttpClient, RequestError},
};

/// How often a provider is told that does not answer, or asks to come later.
const TRIES: u32 = 4;
/// After the first time; twice as long each time, unless the provider says how long.
const PAUSE: Duration = Duration::from_secs(1);
/// Nobody asks to come later than that and means it.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The refresh token first: at many providers its end is the end of all. Whatever is wrong with one, the other is told
/// too (RFC 7009 section 2.2.1).
pub(crate) async fn revoke(
    (url, client_auth): (&Url, &ClientAuth),
    http: &HttpClient,
    access_token: &AccessToken,
    refresh_token: Option<&RefreshToken>,
) {
    let refresh_token = refresh_token.map(|token| (token.expose(), "refresh_token"));
    let tokens = refresh_token
        .into_iter()
        .chain([(access_token.expose(), "access_token")]);
    for (token, hint) in tokens {
        if !tell((url, client_auth), http, token, hint).await {
            tracing::warn!(
                token = hint,
                "a token could not be revoked at its provider; it is forgotten here"
            );
        }
    }
}

/// Until the provider has taken it, or has refused it for good.
async fn tell(
    (url, client_auth): (&Url, &ClientAuth),
    http: &HttpClient,
    token: &str,
    hint: &str,
) -> bool {
    for attempt in 0..TRIES {
        // Each time anew: an assertion of the client is good once.
        let pairs = [("token", token), ("token_type_hint", hint)];
        let Ok(form) = client_auth.form(&pairs) else {
            return false;
        };
        let answer = http.post(Endpoint::Revocation, url, form).await;
        let Some(pause) = pause(&answer, PAUSE * 2_u32.pow(attempt)) else {
            return answer.is_ok_and(|answer| answer.status.is_success());
        };
        if attempt + 1 < TRIES {
            sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }
    false
}

/// How long to wait for another try, if one may help.
fn pause(answer: &Result<Answer, RequestError>, usual: Duration) -> Option<Duration> {
    match answer {
        Ok(answer)
            if answer.status.is_server_error()
                || answer.status == StatusCode::TOO_MANY_REQUESTS =>
        {
            Some(answer.retry_after().unwrap_or(usual))
        }
        Err(
            RequestError::ConnectFailed | RequestError::CircuitOpen | RequestError::ResponseLost,
        ) => Some(usual),
        _ => None,
    }
}
