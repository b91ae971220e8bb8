//! Pushed authorization requests (RFC 9126): the parameters go to the provider directly, and the browser carries a
//! reference to them.

use hubkey_domain::provider::{ParMode, ProviderConfig};
use hubkey_protocol::{
    bounds::Bound,
    provider_rules::ProviderRule,
    secret::{Secret, SecretUrl},
};
use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use crate::{
    IdpError,
    client_auth::ClientAuth,
    discovery::Metadata,
    http_client::{Answer, Endpoint, HttpClient},
    json,
    refusal::{self, Question},
    token::{self, ResponseDialect, TokenEndpoint},
};

/// Where to push to, if at all.
pub(crate) fn endpoint<'a>(
    config: &ProviderConfig,
    metadata: &'a Metadata,
) -> Result<Option<&'a Url>, IdpError> {
    let unfit = match config.par_mode {
        ParMode::Never => metadata.must_push,
        ParMode::Auto => metadata.must_push && metadata.pushed.is_none(),
        ParMode::Always => metadata.pushed.is_none(),
    };
    if unfit {
        return Err(IdpError::RuleBroken(ProviderRule::PushedRequests));
    }
    let wanted = config.par_mode != ParMode::Never;
    Ok(metadata.pushed.as_ref().filter(|_| wanted))
}

/// Sends the parameters of this authorization URL ahead, and gives the URL that refers to them. The reference is made
/// for one authorization and used for no other.
pub(crate) async fn push(
    config: &ProviderConfig,
    (metadata, endpoint): (&Metadata, &Url),
    (client_auth, http): (&ClientAuth, &HttpClient),
    whole: &SecretUrl,
) -> Result<SecretUrl, IdpError> {
    let whole = Url::parse(whole.expose())
        .map_err(|_| IdpError::Misconfigured("authorization_endpoint"))?;
    // What stands in the endpoint's own query stays there.
    let own = metadata.authorization.query_pairs().count();
    let pairs: Vec<_> = whole.query_pairs().skip(own).collect();
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let form = client_auth.form(&pairs)?;
    let answer = http.post(Endpoint::PushedAuthorization, endpoint, form);
    let answer = answer.await?;
    let reference = reference(&answer).inspect_err(|_| {
        let at = TokenEndpoint {
            url: endpoint,
            dialect: ResponseDialect::OpenId,
            client_auth,
            http,
        };
        let refused = (Question::PushedAuthorization, &answer);
        token::log_refusal(at, Endpoint::PushedAuthorization, refused);
    })?;
    let mut url = metadata.authorization.clone();
    url.query_pairs_mut()
        .append_pair("client_id", &config.client_id)
        .append_pair("request_uri", &reference);
    Ok(SecretUrl::new(url.as_str()))
}

/// `request_uri` of the answer (section 2.2).
fn reference(answer: &Answer) -> Result<String, IdpError> {
    // Some providers say 200.
    if answer.status.is_redirection() {
        return Err(IdpError::RuleBroken(ProviderRule::ParRedirected));
    }
    if !matches!(answer.status, StatusCode::CREATED | StatusCode::OK) {
        let judged = refusal::judge(Question::PushedAuthorization, answer);
        return Err(token::refusal(&judged, answer, ProviderRule::ParErrorForm));
    }
    if !answer.is_json() {
        return Err(IdpError::RuleBroken(ProviderRule::ParContentType));
    }
    let members =
        json::object(&answer.body).map_err(|_| IdpError::RuleBroken(ProviderRule::ParJson))?;
    // The browser leaves at once: only a reference that is over already is of no use.
    let lives = members.get("expires_in").and_then(Value::as_f64);
    if lives.is_some_and(|seconds| seconds < 1.0) {
        return Err(IdpError::RuleBroken(ProviderRule::ParExpiresIn));
    }
    match members.get("request_uri") {
        Some(Value::String(reference)) if is_reference(reference) => Ok(reference.clone()),
        _ => Err(IdpError::RuleBroken(ProviderRule::ParRequestUri)),
    }
}

fn is_reference(text: &str) -> bool {
    text.len() <= Bound::PushedReference.limit()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && Url::parse(text).is_ok()
}
