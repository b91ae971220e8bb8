//! The token endpoint (RFC 6749 sections 3.2 and 4.1.3). A code is sent once, whatever happens.

use std::time::Duration;

use hubkey_domain::{
    clock::Timestamp,
    connection::{IdTokenAnchor, Unverified},
    token_set::TokenSet,
};
use hubkey_protocol::{
    Scopes,
    provider_rules::ProviderRule,
    secret::{AccessToken, IdToken, RefreshToken, Secret},
};
use reqwest::StatusCode;
use serde_json::{Map, Number, Value};
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    Granted, IdentityProvider, IdpError, OAuthError, Redemption, RefreshError, Refreshed, account,
    client_auth::ClientAuth,
    http_client::{Answer, Endpoint, HttpClient, RequestError},
    json,
    jwt::Claims,
    refusal::{self, Judgement, Question, RefusalKind},
};

/// A longer lifetime is taken for nonsense, not for a promise.
const LONGEST_LIFETIME: u64 = 10 * 366 * 24 * 60 * 60;

/// The members that are tokens, and what each has to be.
const ACCESS_TOKEN: (&str, ProviderRule) = ("access_token", ProviderRule::AccessToken);
const REFRESH_TOKEN: (&str, ProviderRule) = ("refresh_token", ProviderRule::RefreshToken);
const ID_TOKEN: (&str, ProviderRule) = ("id_token", ProviderRule::IdTokenMember);

/// So long is tried to give back what a code brought to nobody. Its person waits for a page.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// What a token endpoint handed out, its ID token not yet judged. No `Debug`: an ID token must not be shown.
pub(crate) struct TokenResponse {
    pub(crate) access_token: AccessToken,
    pub(crate) refresh_token: Option<RefreshToken>,
    /// Absent where the provider did not say, or nothing sensible.
    pub(crate) expires_in: Option<Duration>,
    /// As requested where the provider did not say (RFC 6749 section 5.1).
    pub(crate) scopes: Option<Scopes>,
    /// A code exchange is not done without one; a refresh may be.
    pub(crate) unverified_id_token: Option<Zeroizing<String>>,
}

/// How answers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseDialect {
    /// As OpenID Connect Core 1.0 section 3.1.3.3 says: JSON and nothing else.
    OpenId,
    /// As providers without OpenID Connect answer: perhaps form-encoded, scopes perhaps separated by commas.
    OAuth2,
}

/// A provider's token endpoint, as hubkey speaks to it.
#[derive(Clone, Copy)]
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) url: &'a Url,
    pub(crate) dialect: ResponseDialect,
    pub(crate) client_auth: &'a ClientAuth,
    pub(crate) http: &'a HttpClient,
}

impl TokenResponse {
    /// The tokens, if the request for them was sent then.
    pub(crate) fn tokens(self, sent: Timestamp) -> TokenSet<Option<Scopes>> {
        TokenSet {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            obtained_at: sent,
            expires_at: self.expires_in.map(|lifetime| sent.after(lifetime)),
            scopes: self.scopes,
        }
    }

    /// What a code brought: whose account it is, and the proof, are known from elsewhere.
    pub(crate) fn granted(
        self,
        claims: &Claims,
        redemption: Redemption,
        proof: IdTokenAnchor,
        sent: Timestamp,
    ) -> Granted {
        let tokens = self.tokens(sent);
        Granted {
            tokens: tokens.requested(|| redemption.scopes),
            issuer: redemption.issuer,
            account: account::account(claims),
            claims: account::texts(claims),
            token_type: "Bearer".to_owned(),
            proof,
        }
    }

    /// Whose account it is cannot be told, so nobody gets what a code brought: the provider is told to forget it, for as long
    /// as a person may be kept waiting. The code is spent.
    pub(crate) async fn given_back(
        self,
        provider: &dyn IdentityProvider,
        error: IdpError,
    ) -> IdpError {
        let refresh_token = self.refresh_token.as_ref();
        let refresh_token = refresh_token.filter(|token| !token.expose().is_empty());
        let telling = provider.revoke(&self.access_token, refresh_token);
        if timeout(GIVING_BACK, telling).await.is_err() {
            tracing::warn!(
                "what a code brought could not be given back in time; it is forgotten here"
            );
        }
        match error {
            IdpError::Unavailable => IdpError::OutcomeUnknown,
            other => other,
        }
    }

    /// What a refresh brought; `issued_at` is of its ID token, if there was one.
    pub(crate) fn refreshed(self, issued_at: Option<u64>, sent: Timestamp) -> Refreshed {
        Refreshed {
            tokens: self.tokens(sent),
            issued_at,
        }
    }

    /// What a refresh brought that cannot be judged yet.
    pub(crate) fn unverified(self, sent: Timestamp, came: Timestamp) -> RefreshError {
        let id_token = self.unverified_id_token.as_ref();
        let id_token = IdToken::new(id_token.map_or("", |token| token.as_str()));
        let mut tokens = self.tokens(sent);
        RefreshError::Unverified {
            refresh_token: tokens.refresh_token.take(),
            unverified: Box::new(Unverified {
                tokens,
                id_token,
                came_at: came,
                own: true,
            }),
        }
    }
}

/// Sends the code. An error says whether it may have been redeemed.
pub(crate) async fn exchange(
    at: TokenEndpoint<'_>,
    redemption: &Redemption,
) -> Result<TokenResponse, IdpError> {
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
    let form = at.client_auth.form(&pairs)?;
    let answer = at.http.post(Endpoint::Token, at.url, form);
    let answer = answer.await.map_err(unredeemed)?;
    let response = read(Question::Code, &answer, at.dialect);
    if response.is_err() {
        log_refusal(at, Endpoint::Token, (Question::Code, &answer));
    }
    response
}

/// Where the provider refused which request, for the operator: the page and the cell name neither.
pub(crate) fn log_refusal(
    at: TokenEndpoint<'_>,
    endpoint: Endpoint,
    (question, answer): (Question, &Answer),
) {
    let refusal = refusal::judge(question, answer).refusal;
    let hint = at.client_auth.hint();
    tracing::warn!(
        provider = at.http.provider().as_str(),
        endpoint = endpoint.label(),
        url = at.url.as_str(),
        status = refusal.status,
        code = refusal.code,
        hint = Some(hint).filter(|hint| !hint.is_empty()),
        "The provider did not carry out a request of a sign-in. Where it refuses hubkey's registration (401, 403, \
         invalid_client), check client_id, client_secret_file and how the client authenticates."
    );
}

fn unredeemed(reason: RequestError) -> IdpError {
    match reason {
        RequestError::ResponseLost => IdpError::OutcomeUnknown,
        other => other.into(),
    }
}

/// What an answer of the token endpoint holds.
pub(crate) fn read(
    question: Question,
    answer: &Answer,
    dialect: ResponseDialect,
) -> Result<TokenResponse, IdpError> {
    if answer.status.is_redirection() {
        return Err(IdpError::RuleBroken(ProviderRule::TokenRedirected));
    }
    if answer.status != StatusCode::OK {
        let judged = refusal::judge(question, answer);
        return Err(refusal(&judged, answer, ProviderRule::TokenErrorForm));
    }
    let media_type = answer.media_type();
    let members = match (media_type.as_deref(), dialect) {
        (Some("application/json"), _) => {
            json::object(&answer.body).map_err(|_| IdpError::RuleBroken(ProviderRule::TokenJson))?
        }
        (Some(refusal::FORM), ResponseDialect::OAuth2) => {
            refusal::form(&answer.body).ok_or(IdpError::RuleBroken(ProviderRule::TokenForm))?
        }
        _ => return Err(IdpError::RuleBroken(ProviderRule::TokenContentType)),
    };
    response(members, dialect)
}

/// Why a request that is no refresh brought nothing. The rest of an error document never leaves the judge (RFC 6749 section
/// 5.2).
pub(crate) fn refusal(judged: &Judgement, answer: &Answer, no_document: ProviderRule) -> IdpError {
    match (judged.kind, judged.error) {
        (RefusalKind::Later, None | Some(OAuthError::Other)) => IdpError::Unavailable,
        (RefusalKind::Registration, None | Some(OAuthError::Other)) => {
            IdpError::Misconfigured("client_refused")
        }
        (RefusalKind::Unknown, _) if !answer.status.is_client_error() => IdpError::OutcomeUnknown,
        (_, Some(error)) => IdpError::Refused(error),
        (_, None) => IdpError::RuleBroken(no_document),
    }
}

/// The next refresh token of an answer that is otherwise of no use: the one that was sent may be over.
pub(crate) fn next_refresh_token(answer: &Answer, sent: &RefreshToken) -> Option<RefreshToken> {
    if !answer.status.is_success() {
        return None;
    }
    let mut members = json::object(&answer.body).ok()?;
    let next = text(&mut members, REFRESH_TOKEN).ok()??;
    let next = RefreshToken::new(next);
    (!next.expose().is_empty() && !next.matches(sent)).then_some(next)
}

fn response(
    mut members: Map<String, Value>,
    dialect: ResponseDialect,
) -> Result<TokenResponse, IdpError> {
    // Some providers send errors with status 200.
    if let Some(word) = refusal::error_word(&members) {
        return Err(IdpError::Refused(OAuthError::parse(word)));
    }
    if !is_bearer(&members, dialect) {
        return Err(IdpError::RuleBroken(ProviderRule::TokenType));
    }
    let access_token = text(&mut members, ACCESS_TOKEN)?
        .filter(|token| is_token(token))
        .ok_or(IdpError::RuleBroken(ProviderRule::AccessToken))?;
    let refresh_token = text(&mut members, REFRESH_TOKEN)?.filter(|token| !token.is_empty());
    let id_token = text(&mut members, ID_TOKEN)?.filter(|token| !token.is_empty());
    Ok(TokenResponse {
        access_token: AccessToken::new(access_token),
        refresh_token: refresh_token.map(RefreshToken::new),
        expires_in: members.get("expires_in").and_then(lifetime),
        scopes: scopes(&mut members, dialect)?,
        unverified_id_token: id_token.map(Zeroizing::new),
    })
}

/// How a token is used decides where it may be sent, so that any other word is refused (RFC 6749 section 7.1). Providers
/// without OpenID Connect were seen to leave it out, and their tokens are bearer tokens (RFC 6750).
fn is_bearer(members: &Map<String, Value>, dialect: ResponseDialect) -> bool {
    match json::given(members, "token_type") {
        Some(Value::String(kind)) => kind.eq_ignore_ascii_case("bearer"),
        Some(_) => false,
        None => dialect == ResponseDialect::OAuth2,
    }
}

/// Takes a text out, so that no copy of it stays behind. A value of another type is not an absent one.
fn text(
    members: &mut Map<String, Value>,
    (name, rule): (&str, ProviderRule),
) -> Result<Option<String>, ProviderRule> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(rule),
    }
}

/// Visible ASCII (RFC 6750 section 2.1 allows less): nothing that could break out of a header.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// One text (RFC 6749 section 3.3). Providers without OpenID Connect also send a list, or names with commas between them.
fn scopes(
    members: &mut Map<String, Value>,
    dialect: ResponseDialect,
) -> Result<Option<Scopes>, IdpError> {
    let list = match (members.remove("scope"), dialect) {
        (Some(Value::Array(names)), ResponseDialect::OAuth2) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            names
                .ok_or(IdpError::RuleBroken(ProviderRule::Scope))?
                .join(" ")
        }
        (Some(Value::String(list)), ResponseDialect::OAuth2) => list.replace(',', " "),
        (Some(Value::String(list)), ResponseDialect::OpenId) => list,
        (None | Some(Value::Null), _) => return Ok(None),
        (Some(_), _) => return Err(IdpError::RuleBroken(ProviderRule::Scope)),
    };
    let scopes = Scopes::parse(&list).map_err(|_| IdpError::RuleBroken(ProviderRule::Scope))?;
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

/// A number or a numeric string; anything else says nothing. So does zero: a token that has ended when it comes would be of no
/// use to anybody, and providers were seen to send it for tokens that have no end.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => whole(number)?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (1..=LONGEST_LIFETIME)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
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
    fn security_p7_lifetimes_are_read_or_unknown() {
        let read = |text: &str| lifetime(&serde_json::from_str(text).unwrap());
        let known = |text: &str| read(text).map(|lifetime| lifetime.as_secs());
        for (text, expected) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("3599.5", Some(3599)),
            ("0", None),
            ("0.4", None),
            ("\"0\"", None),
            ("1", Some(1)),
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
