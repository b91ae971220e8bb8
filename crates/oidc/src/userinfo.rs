//! The userinfo endpoint (OpenID Connect Core 1.0 section 5.3).

use hubkey_protocol::secret::AccessToken;
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    IdpError,
    discovery::Metadata,
    error::{USERINFO_TOO_LONG, UserinfoError},
    http_client::{Answer, Endpoint, HttpClient},
    id_token::{self, Expected},
    json,
    jwt::{Claims, JwtError, UnverifiedJwt},
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
        .ok_or(IdpError::Misconfigured("userinfo_endpoint"))?;
    let answer = http
        .get(Endpoint::Userinfo, url, Some(access_token))
        .await?;
    check_status(&answer)?;
    let claims = if answer.media_type().as_deref() == Some("application/jwt") {
        signed(metadata, (http, keyring), &answer, expected).await?
    } else if answer.is_json() {
        json::object(&answer.body).map_err(|_| unreadable("userinfo_json"))?
    } else {
        return Err(unreadable("userinfo_content_type"));
    };
    match claims.get("sub") {
        Some(Value::String(other)) if other == subject => Ok(claims),
        _ => Err(IdpError::Userinfo(UserinfoError::SubjectMismatch)),
    }
}

pub(crate) fn unreadable(word: &'static str) -> IdpError {
    IdpError::Userinfo(UserinfoError::Unreadable(word))
}

pub(crate) fn check_status(answer: &Answer) -> Result<(), IdpError> {
    if answer.status == StatusCode::OK {
        return Ok(());
    }
    if answer.status.is_redirection() {
        return Err(unreadable("userinfo_redirected"));
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
    let word = |_| unreadable("userinfo_jwt");
    let text = std::str::from_utf8(&answer.body).map_err(|_| unreadable("userinfo_jwt"))?;
    let token = UnverifiedJwt::parse(text.trim_ascii(), &metadata.algorithms);
    let token = token.map_err(|fault| match fault {
        JwtError::TooLong => IdpError::ProtocolViolation(USERINFO_TOO_LONG),
        JwtError::Encrypted => unreadable("userinfo_encrypted"),
        other => word(other),
    })?;
    let answered = (&token, Origin::Provider);
    let claims = keyring.verified(http, &metadata.jwks, answered).await?;
    id_token::issuer(&claims, expected).map_err(word)?;
    id_token::audience(&claims, expected).map_err(word)?;
    if json::given(&claims, "exp").is_some() {
        id_token::expiry(&claims, expected).map_err(word)?;
    }
    Ok(claims)
}
