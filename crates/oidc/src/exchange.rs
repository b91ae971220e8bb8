//! Token exchange (RFC 8693), and Keycloak's endpoint for stored tokens of the providers behind it. Neither uses
//! anything up: what got lost may be asked for again.

use hubkey_domain::{clock::Timestamp, provider::RequestedIssuerMethod, token_set::TokenSet};
use hubkey_protocol::{Scopes, secret::Secret};
use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use crate::{
    Exchange, ExchangeError,
    http_client::{Answer, Endpoint, HttpClient, RequestError},
    json,
    refusal::{self, Question, RefusalKind},
    token::{self, ResponseDialect, TokenEndpoint},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Exchanges in the form that the operator configured. `sent` is the time before that.
pub(crate) async fn send(
    at: TokenEndpoint<'_>,
    requested_issuer_method: RequestedIssuerMethod,
    exchange: &Exchange<'_>,
    sent: Timestamp,
) -> Result<TokenSet<Option<Scopes>>, ExchangeError> {
    if let Some(alias) = exchange.requested_issuer
        && requested_issuer_method == RequestedIssuerMethod::BrokerToken
    {
        return stored(at.http, exchange, alias, sent).await;
    }
    let scopes = exchange.scopes.map(Scopes::to_oauth);
    let mut pairs = vec![
        ("grant_type", GRANT),
        ("subject_token", exchange.subject_token.expose()),
        ("subject_token_type", ACCESS_TOKEN),
        ("requested_token_type", ACCESS_TOKEN),
    ];
    let optional = [
        ("audience", exchange.audience),
        ("resource", exchange.resource),
        ("scope", scopes.as_deref()),
        ("requested_issuer", exchange.requested_issuer),
    ];
    pairs.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let form = at.client_auth.form(&pairs);
    let form = form.map_err(|_| ExchangeError::Misconfigured)?;
    let answer = at.http.post(Endpoint::Token, at.url, form);
    let answer = answer.await.map_err(request_error)?;
    let handed = token::read(Question::Exchange, &answer, at.dialect)
        .map_err(|_| failure(Question::Exchange, &answer))?;
    check_type(&answer)?;
    Ok(without_refresh_token(handed.tokens(sent)))
}

/// A refresh token that came along is dropped: nobody asked for one.
fn without_refresh_token(tokens: TokenSet<Option<Scopes>>) -> TokenSet<Option<Scopes>> {
    TokenSet {
        refresh_token: None,
        ..tokens
    }
}

/// The answer has to say that it holds what was asked for (RFC 8693 section 2.2.1).
fn check_type(answer: &Answer) -> Result<(), ExchangeError> {
    let members = json::object(&answer.body).map_err(|_| ExchangeError::Misconfigured)?;
    match members.get("issued_token_type").and_then(Value::as_str) {
        Some(ACCESS_TOKEN) => Ok(()),
        _ => Err(ExchangeError::Misconfigured),
    }
}

fn request_error(reason: RequestError) -> ExchangeError {
    match reason {
        RequestError::EgressDenied | RequestError::ResponseTooLarge => ExchangeError::Misconfigured,
        RequestError::ConnectFailed | RequestError::CircuitOpen | RequestError::ResponseLost => {
            ExchangeError::Unavailable { retry_after: None }
        }
    }
}

fn failure(question: Question, answer: &Answer) -> ExchangeError {
    match refusal::judge(question, answer).kind {
        RefusalKind::TokenDead => ExchangeError::SubjectRefused,
        RefusalKind::NotPermitted => ExchangeError::Refused,
        RefusalKind::Later => ExchangeError::Unavailable {
            retry_after: answer.retry_after(),
        },
        RefusalKind::Registration | RefusalKind::Unknown => ExchangeError::Misconfigured,
    }
}

/// Keycloak's endpoint for the token that it stored when the person signed in at a provider behind it.
async fn stored(
    http: &HttpClient,
    exchange: &Exchange<'_>,
    alias: &str,
    sent: Timestamp,
) -> Result<TokenSet<Option<Scopes>>, ExchangeError> {
    let url = stored_url(exchange.issuer, alias).ok_or(ExchangeError::Misconfigured)?;
    let answer = http.get(Endpoint::BrokerToken, &url, Some(exchange.subject_token));
    let answer = answer.await.map_err(request_error)?;
    match answer.status {
        StatusCode::OK => read_stored(&answer, sent),
        status => Err(match failure(Question::Resource, &answer) {
            ExchangeError::Misconfigured if status.is_client_error() => ExchangeError::Refused,
            failure => failure,
        }),
    }
}

fn stored_url(issuer: &str, alias: &str) -> Option<Url> {
    let mut url = Url::parse(issuer).ok()?;
    let mut path = url.path_segments_mut().ok()?;
    path.pop_if_empty().extend(["broker", alias, "token"]);
    drop(path);
    Some(url)
}

/// The other provider's own answer, as it was kept. Its `expires_in` counts from a time that nobody knows, so only
/// Keycloak's `accessTokenExpiration` says anything.
fn read_stored(
    answer: &Answer,
    sent: Timestamp,
) -> Result<TokenSet<Option<Scopes>>, ExchangeError> {
    let unfit = |_| ExchangeError::Misconfigured;
    let ends = json::object(&answer.body).map_err(|_| ExchangeError::Misconfigured)?;
    let ends = ends.get("accessTokenExpiration").and_then(Value::as_u64);
    let handed = token::read(Question::Resource, answer, ResponseDialect::OpenId).map_err(unfit)?;
    let ends = ends.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
    if ends.is_some_and(|end| end <= sent) {
        return Err(ExchangeError::Refused);
    }
    Ok(TokenSet {
        expires_at: ends,
        ..without_refresh_token(handed.tokens(sent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stays_one_segment_below_the_issuer() {
        for (issuer, alias, url) in [
            (
                "https://op.example/realms/lab",
                "github",
                "https://op.example/realms/lab/broker/github/token",
            ),
            (
                "https://op.example/",
                "a/../b?c",
                "https://op.example/broker/a%2F..%2Fb%3Fc/token",
            ),
        ] {
            assert_eq!(stored_url(issuer, alias).unwrap().as_str(), url);
        }
    }
}
