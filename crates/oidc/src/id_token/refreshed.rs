//! The rules for the ID token of a refresh (OpenID Connect Core 1.0 section 12.2).

use hubkey_domain::connection::IdTokenAnchor;
use hubkey_protocol::{
    provider_rules::ProviderRule,
    secret::{AccessToken, OidcNonce},
};
use serde_json::Value;

use super::{Expected, for_us_and_now, half_hash, whole_seconds};
use crate::{algorithm::Algorithm, json::given, jwt::Claims};

/// Judges the claims of an ID token whose signature was checked: the same issuer, subject and audience as at the sign-in,
/// and not an older token. Another time of authentication is told and no more: providers were seen to say when they
/// refreshed, and who the person is hangs on the subject.
pub(crate) fn judge_refreshed(
    claims: &Claims,
    algorithm: Algorithm,
    expected: &Expected<'_>,
    (subject, proof): (&str, &IdTokenAnchor),
    access_token: &AccessToken,
) -> Result<(), ProviderRule> {
    for_us_and_now(claims, expected)?;
    same_subject(claims, subject)?;
    not_older(claims, proof)?;
    same_nonce(claims, proof)?;
    tell_other_authentication(claims, proof);
    half_hash(claims, "at_hash", algorithm, access_token)
        .ok_or(ProviderRule::IdTokenAccessTokenHash)
}

fn same_subject(claims: &Claims, subject: &str) -> Result<(), ProviderRule> {
    match claims.get("sub") {
        Some(Value::String(given)) if given == subject => Ok(()),
        _ => Err(ProviderRule::IdTokenSubject),
    }
}

fn not_older(claims: &Claims, proof: &IdTokenAnchor) -> Result<(), ProviderRule> {
    match whole_seconds(claims, "iat") {
        Some(issued) if issued >= proof.issued_at => Ok(()),
        _ => Err(ProviderRule::IdTokenIssuedAt),
    }
}

fn same_nonce(claims: &Claims, proof: &IdTokenAnchor) -> Result<(), ProviderRule> {
    match given(claims, "nonce") {
        None => Ok(()),
        Some(Value::String(given)) if OidcNonce::new(given).matches(&proof.oidc_nonce) => Ok(()),
        Some(_) => Err(ProviderRule::IdTokenNonce),
    }
}

/// What is no time says nothing (ADR 56).
fn tell_other_authentication(claims: &Claims, proof: &IdTokenAnchor) {
    let given = whole_seconds(claims, "auth_time");
    if let (Some(given), Some(first)) = (given, proof.auth_time)
        && given != first
    {
        tracing::info!(
            given,
            first,
            "The ID token of a refresh has another auth_time than that of the sign-in."
        );
    }
}
