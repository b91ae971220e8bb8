//! The one judge of what providers answer that do not do as asked: what an answer says of what was sent.
//!
//! It judges by the word of the error document, wherever the provider writes it (RFC 6749 section 5.2, RFC 6750 section 3.1,
//! and the forms in which others were seen to write it), then by the status. In doubt nobody knows, and nothing that a
//! person has is ended by a guess: a refresh that nobody understands is witnessed by [`crate::refresh::probe`].

use hubkey_domain::refusal::Refusal;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use crate::{OAuthError, http_client::Answer, json};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// To redeem a code. Asked once.
    Code,
    /// To refresh. Asked once.
    Refresh,
    /// To exchange a token. Uses nothing up.
    Exchange,
    /// To take an authorization request (RFC 9126). Uses nothing up.
    PushedAuthorization,
    /// What belongs to an access token: claims, or a stored token of another provider. Uses nothing up.
    Resource,
    /// To revoke a token (RFC 7009). Uses nothing up.
    Revocation,
}

impl Question {
    /// Whether what was sent may be over though the answer is a failure of the server.
    fn is_asked_once(self) -> bool {
        matches!(self, Self::Code | Self::Refresh)
    }
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The code or token that was sent is over: nothing but another one helps.
    TokenDead,
    /// hubkey's own registration is refused: the operator has to act.
    Registration,
    /// What was asked for is not given to this person or to hubkey: a scope, an audience, a resource.
    NotPermitted,
    /// Nothing was done. The same may be asked again.
    Later,
    /// Nobody knows.
    Unknown,
}

/// An answer that is no success, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// What it says.
    pub(crate) kind: RefusalKind,
    /// The word that it has, if it has one.
    pub(crate) error: Option<OAuthError>,
    /// What may be said and kept of it: none of the provider's own text.
    pub(crate) refusal: Refusal,
}

/// Judges an answer.
pub(crate) fn judge(question: Question, answer: &Answer) -> Judgement {
    let document = error_document(answer);
    let word = document.as_ref().and_then(error_word);
    let word = word.or_else(|| match question {
        Question::Resource => answer.challenge_error(),
        Question::Code
        | Question::Refresh
        | Question::Exchange
        | Question::PushedAuthorization
        | Question::Revocation => None,
    });
    let error = word.map(OAuthError::parse);
    let code = match (word, &document) {
        (Some(word), _) => OAuthError::standard(word).unwrap_or(Refusal::OTHER),
        (None, Some(_)) => Refusal::OTHER,
        (None, None) => Refusal::NO_DOCUMENT,
    };
    let refusal = Refusal {
        status: answer.status.as_u16(),
        code: code.to_owned(),
    };
    Judgement {
        kind: kind(question, answer.status, error, &refusal),
        error,
        refusal,
    }
}

fn kind(
    question: Question,
    status: StatusCode,
    error: Option<OAuthError>,
    refusal: &Refusal,
) -> RefusalKind {
    use OAuthError as E;
    // Whoever asks for patience has done nothing.
    if matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return RefusalKind::Later;
    }
    match error {
        Some(E::Unavailable) if !status.is_server_error() => RefusalKind::Later,
        // The word counts whatever the status: who writes it has looked at what was sent.
        Some(E::InvalidGrant) => RefusalKind::TokenDead,
        Some(E::AccessDenied | E::InteractionRequired | E::NotOffered | E::RequestExpired) => {
            RefusalKind::NotPermitted
        }
        Some(E::Misconfigured) if refusal.may_mean_the_registration() => RefusalKind::Registration,
        // RFC 8693 section 2.2.2: also a subject token that is not accepted for any reason.
        Some(E::Misconfigured)
            if question == Question::Exchange && refusal.code == "invalid_request" =>
        {
            RefusalKind::TokenDead
        }
        Some(E::Misconfigured | E::InvalidToken | E::Unavailable | E::Other) | None => {
            by_status(question, status, error)
        }
    }
}

/// Where no word decides.
fn by_status(question: Question, status: StatusCode, error: Option<OAuthError>) -> RefusalKind {
    if status.is_server_error() {
        return if question.is_asked_once() {
            RefusalKind::Unknown
        } else {
            RefusalKind::Later
        };
    }
    let unauthorized = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    match question {
        Question::Resource | Question::Exchange if error == Some(OAuthError::InvalidToken) => {
            RefusalKind::TokenDead
        }
        // RFC 6750 section 3.1: 401 speaks of the token, 403 of what it is good for.
        Question::Resource if status == StatusCode::UNAUTHORIZED => RefusalKind::TokenDead,
        Question::Resource if status == StatusCode::FORBIDDEN => RefusalKind::NotPermitted,
        Question::Code | Question::PushedAuthorization | Question::Revocation if unauthorized => {
            RefusalKind::Registration
        }
        // A page of a firewall has the same status, and a refresh token is not given up for that.
        Question::Code
        | Question::Refresh
        | Question::Exchange
        | Question::PushedAuthorization
        | Question::Resource
        | Question::Revocation => RefusalKind::Unknown,
    }
}

/// Also where it is not said to be JSON: what it is decides itself.
fn error_document(answer: &Answer) -> Option<Map<String, Value>> {
    match answer.media_type().as_deref() {
        Some(FORM) => form(&answer.body),
        _ => json::object(&answer.body).ok(),
    }
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A form as an object: each name once.
pub(crate) fn form(body: &[u8]) -> Option<Map<String, Value>> {
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        if members.insert(name.into_owned(), value).is_some() {
            return None;
        }
    }
    Some(members)
}

/// Where providers write the word of an error: `error` (RFC 6749 section 5.2), as text or as an object with a word in it
/// (Google); `errors`, a list of objects (Fitbit); `errorCode` (Okta, Databricks); `ok` that is false (Slack). A document that
/// says that there is an error, and nothing that can be read of it, has a word that is no standard's.
pub(crate) fn error_word(document: &Map<String, Value>) -> Option<&str> {
    const NONE_THAT_IS_KNOWN: &str = "";
    let text = |value: &'_ Value| value.as_str().is_some_and(|text| !text.is_empty());
    match json::given(document, "error") {
        // Some send the member whatever happened, and nothing in it.
        Some(Value::String(word)) if word.is_empty() => {}
        Some(Value::String(word)) => return Some(word),
        Some(Value::Object(inner)) => {
            return Some(word_in(inner).unwrap_or(NONE_THAT_IS_KNOWN));
        }
        Some(_) => return Some(NONE_THAT_IS_KNOWN),
        None => {}
    }
    // Beside a token the others are of no standard's meaning, and nobody reads them.
    if document.get("access_token").is_some_and(text) {
        return None;
    }
    if let Some(Value::Array(errors)) = document.get("errors")
        && let Some(first) = errors.first()
    {
        let word = first.as_object().and_then(word_in).or(first.as_str());
        return Some(word.unwrap_or(NONE_THAT_IS_KNOWN));
    }
    if let Some(code) = document.get("errorCode").filter(|code| text(code)) {
        return code.as_str();
    }
    (document.get("ok") == Some(&Value::Bool(false))).then_some(NONE_THAT_IS_KNOWN)
}

fn word_in(members: &Map<String, Value>) -> Option<&str> {
    let mut names = ["errorType", "error", "code", "type", "status"].into_iter();
    names.find_map(|name| members.get(name)?.as_str())
}

#[cfg(test)]
mod tests;
