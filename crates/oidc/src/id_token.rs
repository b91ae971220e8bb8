//! The rules for an ID token (OpenID Connect Core 1.0 section 3.1.3.7). One function calls one
//! small function per rule; each refusal has its own word.
//!
//! Judged is what says whose token it is, for whom, for which sign-in and for when. No other claim is looked at here, of
//! whatever type it is (ADR 56); those for people are read by `account`. A claim that is `null` is absent.

use hubkey_domain::{clock::Timestamp, connection::IdTokenAnchor};
use hubkey_protocol::{
    bounds::Bound,
    provider_rules::ProviderRule,
    secret::{AccessToken, AuthorizationCode, OidcNonce, Secret},
};
use serde_json::Value;

use crate::{algorithm::Algorithm, json::given, jwt::Claims};

mod refreshed;
#[cfg(test)]
mod tests;

pub(crate) use refreshed::judge_refreshed;

/// How old an ID token of a code exchange may be, beside the skew.
const OLDEST: f64 = 600.0;
/// The last second of the year 9999: later instants are nonsense.
const LAST: f64 = 253_402_300_799.0;

/// Which registration and which moment a token is judged for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) additional_audiences: &'a [String],
    pub(crate) now: Timestamp,
    pub(crate) skew: std::time::Duration,
}

/// What one sign-in adds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transaction<'a> {
    pub(crate) oidc_nonce: &'a OidcNonce,
    pub(crate) access_token: &'a AccessToken,
    pub(crate) code: &'a AuthorizationCode,
    /// `max_age` of the request.
    pub(crate) max_age: Option<u64>,
    /// `acr_values` of the request; empty where none were asked for.
    pub(crate) contexts: &'a [String],
}

/// Judges the claims of an ID token whose signature was checked.
pub(crate) fn judge(
    claims: &Claims,
    algorithm: Algorithm,
    expected: &Expected<'_>,
    transaction: &Transaction<'_>,
) -> Result<(), ProviderRule> {
    for_us_and_now(claims, expected)?;
    nonce(claims, transaction)?;
    subject(claims)?;
    context(claims, transaction)?;
    authentication_time(claims, expected, transaction)?;
    half_hash(claims, "at_hash", algorithm, transaction.access_token)
        .ok_or(ProviderRule::IdTokenAccessTokenHash)?;
    half_hash(claims, "c_hash", algorithm, transaction.code).ok_or(ProviderRule::IdTokenCodeHash)
}

/// What holds for every ID token, at a sign-in and after a refresh: this provider made it, for us, and it is its time.
fn for_us_and_now(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    issuer(claims, expected)?;
    audience(claims, expected)?;
    authorized_party(claims, expected)?;
    expiry(claims, expected)?;
    issued_at(claims, expected)?;
    not_before(claims, expected)
}

/// `iss` is a string, equal to the byte.
pub(crate) fn issuer(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if issuer == expected.issuer => Ok(()),
        _ => Err(ProviderRule::IdTokenIssuer),
    }
}

/// `aud` holds our client id, and nobody that is not trusted.
pub(crate) fn audience(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    let audiences = audiences(claims).ok_or(ProviderRule::IdTokenAudience)?;
    let trusted = |audience: &&str| {
        *audience == expected.client_id
            || expected
                .additional_audiences
                .iter()
                .any(|other| other == audience)
    };
    if audiences.contains(&expected.client_id) && audiences.iter().all(trusted) {
        Ok(())
    } else {
        Err(ProviderRule::IdTokenAudience)
    }
}

/// A string or a list of strings and nothing else.
fn audiences(claims: &Claims) -> Option<Vec<&str>> {
    match claims.get("aud")? {
        Value::String(audience) => Some(vec![audience]),
        Value::Array(audiences) => audiences.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// For whom the token was made, where it says so (Core 1.0 with errata set 2, section 3.1.3.7, 4 and 5). Where it does not,
/// its audiences have decided: they are ours, and beside us those that the operator trusts.
fn authorized_party(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    match given(claims, "azp") {
        Some(Value::String(party)) if party == expected.client_id => Ok(()),
        None => Ok(()),
        Some(_) => Err(ProviderRule::IdTokenAuthorizedParty),
    }
}

/// Until when (Core 1.0 section 3.1.3.7, 9).
pub(crate) fn expiry(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    let ends = instant(claims, "exp").ok_or(ProviderRule::IdTokenExpiry)?;
    if seconds(expected.now) < ends + expected.skew.as_secs_f64() {
        Ok(())
    } else {
        Err(ProviderRule::IdTokenExpiry)
    }
}

/// Lately: a token of long ago is not of this sign-in (Core 1.0 section 3.1.3.7, 10).
fn issued_at(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    let issued = instant(claims, "iat").ok_or(ProviderRule::IdTokenIssuedAt)?;
    let (now, skew) = (seconds(expected.now), expected.skew.as_secs_f64());
    if (now - OLDEST - skew..=now + skew).contains(&issued) {
        Ok(())
    } else {
        Err(ProviderRule::IdTokenIssuedAt)
    }
}

/// Since when (RFC 7519 section 4.1.5). Who says so in words that are no time is not taken to say "now".
fn not_before(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    if given(claims, "nbf").is_none() {
        return Ok(());
    }
    let begins = instant(claims, "nbf").ok_or(ProviderRule::IdTokenNotBefore)?;
    if begins <= seconds(expected.now) + expected.skew.as_secs_f64() {
        Ok(())
    } else {
        Err(ProviderRule::IdTokenNotBefore)
    }
}

/// For this sign-in and no other (Core 1.0 section 3.1.3.7, 11).
fn nonce(claims: &Claims, transaction: &Transaction<'_>) -> Result<(), ProviderRule> {
    match claims.get("nonce") {
        Some(Value::String(given)) if OidcNonce::new(given).matches(transaction.oidc_nonce) => {
            Ok(())
        }
        _ => Err(ProviderRule::IdTokenNonce),
    }
}

/// Whose (Core 1.0 section 2).
fn subject(claims: &Claims) -> Result<(), ProviderRule> {
    match claims.get("sub") {
        Some(Value::String(subject)) if is_subject(subject) => Ok(()),
        _ => Err(ProviderRule::IdTokenSubject),
    }
}

/// 1 to 255 ASCII characters (Core 1.0 section 2).
pub(crate) fn is_subject(subject: &str) -> bool {
    (1..=Bound::Subject.limit()).contains(&subject.len()) && subject.is_ascii()
}

/// One of the contexts that the settings ask for, where they ask; else nobody reads it.
fn context(claims: &Claims, transaction: &Transaction<'_>) -> Result<(), ProviderRule> {
    let asked = transaction.contexts;
    let fits = |context: &str| asked.iter().any(|one| one == context);
    if asked.is_empty() || text(claims, "acr").is_some_and(fits) {
        Ok(())
    } else {
        Err(ProviderRule::IdTokenContext)
    }
}

/// Lately, where the settings ask how long ago; else nobody reads it.
fn authentication_time(
    claims: &Claims,
    expected: &Expected<'_>,
    transaction: &Transaction<'_>,
) -> Result<(), ProviderRule> {
    let Some(max_age) = transaction.max_age else {
        return Ok(());
    };
    let given = instant(claims, "auth_time").ok_or(ProviderRule::IdTokenAuthenticationTime)?;
    let age = std::time::Duration::from_secs(max_age) + expected.skew;
    if seconds(expected.now) - given <= age.as_secs_f64() {
        Ok(())
    } else {
        Err(ProviderRule::IdTokenAuthenticationTime)
    }
}

/// `at_hash` or `c_hash`: absent, or the left half of the secret's hash, which ties the token to it (Core 1.0 section
/// 3.1.3.8).
fn half_hash(
    claims: &Claims,
    name: &str,
    algorithm: Algorithm,
    secret: &impl Secret,
) -> Option<()> {
    match given(claims, name) {
        None => Some(()),
        Some(Value::String(given)) => {
            (*given == algorithm.half_hash(secret.expose())).then_some(())
        }
        Some(_) => None,
    }
}

/// A `NumericDate`, which may carry a fraction (RFC 7519 section 2).
pub(crate) fn instant(claims: &Claims, name: &str) -> Option<f64> {
    claims
        .get(name)?
        .as_f64()
        .filter(|instant| is_instant(*instant))
}

/// A claim that is a text.
pub(crate) fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// As [`instant`], in whole seconds.
fn whole_seconds(claims: &Claims, name: &str) -> Option<u64> {
    let instant = std::time::Duration::try_from_secs_f64(instant(claims, name)?);
    instant.ok().map(|since| since.as_secs())
}

/// What later ID tokens of the same grant are compared with; of a judged one.
pub(crate) fn proof(claims: &Claims, algorithm: Algorithm, oidc_nonce: OidcNonce) -> IdTokenAnchor {
    IdTokenAnchor {
        issued_at: whole_seconds(claims, "iat").unwrap_or_default(),
        auth_time: whole_seconds(claims, "auth_time"),
        oidc_nonce,
        session: text(claims, "sid")
            .filter(|session| is_subject(session))
            .map(str::to_owned),
        algorithm: Some(algorithm.name().to_owned()),
    }
}

fn is_instant(instant: f64) -> bool {
    (0.0..=LAST).contains(&instant)
}

pub(crate) fn seconds(now: Timestamp) -> f64 {
    std::time::Duration::from_millis(now.as_millis()).as_secs_f64()
}
