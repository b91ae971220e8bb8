//! The token endpoint (RFC 6749 sections 3.2 and 4.1.3). A code is sent once, whatever happens.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use form_urlencoded::Serializer;
use hubkey_protocol::{
    Scopes,
    secret::{AccessToken, ClientSecret, RefreshToken, Secret},
};
use reqwest::{StatusCode, header::HeaderValue};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use super::{
    IdpError, OAuthError, Redemption,
    discovery::Metadata,
    json,
    outbound::{Answer, Endpoint, Outbound, Unanswered},
};
use crate::domain::provider::{ClientAuthentication, ProviderConfig};

/// A longer lifetime is taken for nonsense, not for a promise.
const LONGEST_LIFETIME: u64 = 10 * 366 * 24 * 60 * 60;

/// What a token endpoint handed out, its ID token not yet judged. No `Debug`: an ID token must not be shown.
pub(super) struct Handed {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    /// Absent where the provider did not say, or nothing sensible.
    pub(super) expires_in: Option<Duration>,
    /// As requested where the provider did not say (RFC 6749 section 5.1).
    pub(super) scopes: Option<Scopes>,
    /// A code exchange is not done without one; a refresh may be.
    pub(super) unverified_id_token: Option<Zeroizing<String>>,
}

/// Sends the code. An error says whether it may have been redeemed.
pub(super) async fn exchange(
    config: &ProviderConfig,
    metadata: &Metadata,
    outbound: &Outbound,
    redemption: &Redemption,
) -> Result<Handed, IdpError> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", redemption.code.expose()),
        ("redirect_uri", &redemption.redirect_uri),
        ("code_verifier", redemption.verifier.expose()),
    ];
    pairs.extend(
        redemption
            .audience
            .as_deref()
            .map(|value| ("audience", value)),
    );
    pairs.extend(
        redemption
            .resource
            .as_deref()
            .map(|value| ("resource", value)),
    );
    let form = Form::new(config, &pairs)?;
    let answer = outbound.post(Endpoint::Token, &metadata.token, form);
    let handed = read(&answer.await.map_err(unredeemed)?)?;
    if handed.unverified_id_token.is_none() {
        return Err(IdpError::Misbehaved("id_token_missing"));
    }
    Ok(handed)
}

/// A form with the proof of who hubkey is (RFC 6749 section 2.3.1).
pub(super) struct Form {
    pub(super) body: String,
    pub(super) authorization: Option<HeaderValue>,
}

impl Form {
    pub(super) fn new(config: &ProviderConfig, pairs: &[(&str, &str)]) -> Result<Self, IdpError> {
        let mut body = Serializer::new(String::new());
        body.extend_pairs(pairs);
        let authorization = match &config.client_authentication {
            ClientAuthentication::None => {
                body.append_pair("client_id", &config.client_id);
                None
            }
            ClientAuthentication::Post(secret) => {
                body.append_pair("client_id", &config.client_id)
                    .append_pair("client_secret", secret.expose());
                None
            }
            ClientAuthentication::Basic(secret) => Some(basic(&config.client_id, secret)?),
        };
        Ok(Self {
            body: body.finish(),
            authorization,
        })
    }
}

fn basic(client_id: &str, secret: &ClientSecret) -> Result<HeaderValue, IdpError> {
    let pair = Zeroizing::new(format!(
        "{}:{}",
        encoded(client_id),
        encoded(secret.expose())
    ));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value =
        HeaderValue::from_str(&value).map_err(|_| IdpError::Misconfigured("client_secret"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Form-encoded, but a space as `%20`: every provider understands that, not every one understands `+`.
fn encoded(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

fn unredeemed(reason: Unanswered) -> IdpError {
    match reason {
        Unanswered::Lost => IdpError::OutcomeUnknown,
        other => other.into(),
    }
}

/// What an answer of the token endpoint holds.
pub(super) fn read(answer: &Answer) -> Result<Handed, IdpError> {
    match answer.status {
        StatusCode::OK if answer.media_type().as_deref() == Some("application/json") => {
            hand(json::object(&answer.body).map_err(|_| IdpError::Misbehaved("token_json"))?)
        }
        StatusCode::OK => Err(IdpError::Misbehaved("token_content_type")),
        status => Err(refusal(status, answer)),
    }
}

/// By the standard code only; the rest of an error document never leaves this function (RFC 6749 section 5.2).
fn refusal(status: StatusCode, answer: &Answer) -> IdpError {
    if status.is_redirection() {
        return IdpError::Misbehaved("token_redirected");
    }
    if matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return IdpError::Unavailable;
    }
    if !status.is_client_error() {
        return IdpError::OutcomeUnknown;
    }
    let document = answer.is_json().then(|| json::object(&answer.body).ok());
    match document
        .flatten()
        .as_ref()
        .and_then(|members| members.get("error"))
    {
        Some(Value::String(code)) => IdpError::Refused(OAuthError::parse(code)),
        _ => IdpError::Misbehaved("token_error_form"),
    }
}

fn hand(mut members: Map<String, Value>) -> Result<Handed, IdpError> {
    // Some providers send errors with status 200.
    if let Some(code) = members.get("error") {
        let code = code.as_str().unwrap_or_default();
        return Err(IdpError::Refused(OAuthError::parse(code)));
    }
    let bearer = members
        .get("token_type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !bearer {
        return Err(IdpError::Misbehaved("token_type"));
    }
    let access_token = text(&mut members, "access_token")?
        .filter(|token| is_token(token))
        .ok_or(IdpError::Misbehaved("access_token"))?;
    let refresh_token = text(&mut members, "refresh_token")?.filter(|token| !token.is_empty());
    let id_token = text(&mut members, "id_token")?;
    Ok(Handed {
        access_token: AccessToken::new(access_token),
        refresh_token: refresh_token.map(RefreshToken::new),
        expires_in: members.get("expires_in").and_then(lifetime),
        scopes: scopes(&mut members)?,
        unverified_id_token: id_token.map(Zeroizing::new),
    })
}

/// Takes a text out, so that no copy of it stays behind. A value of another type is not an absent one.
fn text(members: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, IdpError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(IdpError::Misbehaved(name)),
    }
}

/// Visible ASCII (RFC 6750 section 2.1 allows less): nothing that could break out of a header.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn scopes(members: &mut Map<String, Value>) -> Result<Option<Scopes>, IdpError> {
    let Some(list) = text(members, "scope")? else {
        return Ok(None);
    };
    let scopes = Scopes::parse(&list).map_err(|_| IdpError::Misbehaved("scope"))?;
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

/// A number or a numeric string; anything else says nothing.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => whole(number)?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (seconds <= LONGEST_LIFETIME).then(|| Duration::from_secs(seconds))
}

fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let fraction = number.as_f64()?;
        Duration::try_from_secs_f64(fraction)
            .ok()
            .map(|lifetime| lifetime.as_secs())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_p1_basic_encodes_before_base64() {
        let header = basic("hub key", &ClientSecret::new(":+/% ü")).unwrap();
        assert!(header.is_sensitive());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "hub%20key:%3A%2B%2F%25%20%C3%BC");
    }

    #[test]
    fn security_p7_lifetimes_are_read_or_unknown() {
        let read = |text: &str| lifetime(&serde_json::from_str(text).unwrap());
        let known = |text: &str| read(text).map(|lifetime| lifetime.as_secs());
        for (text, expected) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("3599.5", Some(3599)),
            ("0", Some(0)),
            ("-1", None),
            ("\"-1\"", None),
            ("1e300", None),
            ("18446744073709551616", None),
            ("18446744073709551615", None),
            ("\"NaN\"", None),
            ("\"\"", None),
            ("null", None),
            ("true", None),
            ("[3600]", None),
        ] {
            assert_eq!(known(text), expected, "{text}");
        }
    }
}
