//! The userinfo endpoint (OpenID Connect Core 1.0 section 5.3).

use hubkey_protocol::{
    provider_rules::{ProviderRule, RuleGroup},
    secret::AccessToken,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    IdpError,
    discovery::Metadata,
    error::UserinfoError,
    http_client::{Answer, Endpoint, HttpClient},
    id_token::{self, Expected},
    json,
    jwt::{Claims, UnverifiedJwt},
    keyring::{Keyring, Origin},
    refusal::{self, Question, RefusalKind},
};

/// Reads the claims, if they are about the account of the ID token (section 5.3.2).
pub(crate) async fn claims(
    metadata: &Metadata,
    (http, keyring): (&HttpClient, &Keyring),
    access_token: &AccessToken,
    subject: &str,
    expected: &Expected<'_>,
) -> Result<Claims, IdpError> {
    let url = metadata
        .userinfo
        .as_ref()
        .ok_or(IdpError::RuleBroken(ProviderRule::UserinfoEndpoint))?;
    let answer = http
        .get(Endpoint::Userinfo, url, Some(access_token))
        .await?;
    check_status(&answer)?;
    let claims = if answer.media_type().as_deref() == Some("application/jwt") {
        signed(metadata, (http, keyring), &answer, expected).await?
    } else if answer.is_json() {
        json::object(&answer.body).map_err(|_| unreadable(ProviderRule::UserinfoJson))?
    } else {
        return Err(unreadable(ProviderRule::UserinfoContentType));
    };
    match claims.get("sub") {
        Some(Value::String(other)) if other == subject => Ok(claims),
        _ => Err(IdpError::Userinfo(UserinfoError::SubjectMismatch)),
    }
}

pub(crate) fn unreadable(rule: ProviderRule) -> IdpError {
    IdpError::Userinfo(UserinfoError::Unreadable(rule))
}

pub(crate) fn check_status(answer: &Answer) -> Result<(), IdpError> {
    if answer.status == StatusCode::OK {
        return Ok(());
    }
    if answer.status.is_redirection() {
        return Err(unreadable(ProviderRule::UserinfoRedirected));
    }
    Err(match refusal::judge(Question::Resource, answer).kind {
        RefusalKind::TokenDead => IdpError::Userinfo(UserinfoError::TokenRefused),
        RefusalKind::Later => IdpError::Unavailable,
        RefusalKind::Registration | RefusalKind::NotPermitted | RefusalKind::Unknown => {
            IdpError::Userinfo(UserinfoError::Refused)
        }
    })
}

/// A signed answer is a JWT of its own, for us and from this issuer: no other token passes for it.
async fn signed(
    metadata: &Metadata,
    (http, keyring): (&HttpClient, &Keyring),
    answer: &Answer,
    expected: &Expected<'_>,
) -> Result<Claims, IdpError> {
    let not_for_us = |_| unreadable(ProviderRule::UserinfoJwt);
    let text =
        std::str::from_utf8(&answer.body).map_err(|_| unreadable(ProviderRule::UserinfoJwt))?;
    let token = UnverifiedJwt::parse(text.trim_ascii(), &metadata.algorithms);
    let token = token.map_err(|fault| match fault {
        ProviderRule::IdTokenTooLong => IdpError::RuleBroken(ProviderRule::UserinfoTooLong),
        ProviderRule::IdTokenEncrypted => unreadable(ProviderRule::UserinfoEncrypted),
        other => not_for_us(other),
    })?;
    let answered = (&token, Origin::Provider);
    let verified = keyring.verified(http, &metadata.jwks, answered).await;
    let claims = verified.map_err(|reason| match reason.error {
        IdpError::RuleBroken(rule) if rule.row().group == RuleGroup::IdToken => not_for_us(rule),
        other => other,
    })?;
    id_token::issuer(&claims, expected).map_err(not_for_us)?;
    id_token::audience(&claims, expected).map_err(not_for_us)?;
    if json::given(&claims, "exp").is_some() {
        id_token::expiry(&claims, expected).map_err(not_for_us)?;
    }
    Ok(claims)
}
