//! What handlers take from a request. Each rejection is a problem document that never repeats what was sent.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use hubkey_protocol::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::strict_json::Strict;

/// A JSON body, in a request or a response. A message is always an object.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(
    /// The message.
    pub T,
);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            return Err(Failure::of(ErrorCode::UnsupportedMediaType));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| bad_request("Send the whole body.").because(rejection))?;
        read(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                ([(CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => Failure::internal(error).into_response(),
        }
    }
}

/// The variable parts of a path. What is not of the right form is answered like what does not exist.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(
    /// The parts.
    pub T,
);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|_| Failure::not_found())
    }
}

/// The query of a URL. A parameter that is given twice is refused.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(
    /// The parameters.
    pub T,
);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let advice = "Give each query parameter that this address takes once, and no other.";
        query
            .map(|query| Self(query.0))
            .map_err(|_| bad_request(advice))
    }
}

const NO_SUCH_MESSAGE: &str = "Send a message of the form that the API reference shows.";

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = media_type
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    if let Err(error) = serde_json::from_slice::<Strict>(body) {
        let (line, column) = (error.line(), error.column());
        return Err(bad_request(format!(
            "Send JSON in which no object has a key twice; this body ceases to be that at line {line}, column {column}."
        )));
    }
    // A derived reader takes a list for an object whose fields come in order, which no message is.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad_request(NO_SUCH_MESSAGE));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| bad_request(advice(&error)))
}

/// Names the field that is wrong. The error's own text may repeat a value, so that only its first words are looked at, and
/// what our own types say that they expect.
fn advice(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let text = error.inner().to_string();
    let quoted = || text.split('`').nth(1).unwrap_or_default();
    if text.starts_with("missing field") {
        return format!("Add the field `{}`.", quoted());
    }
    if text.starts_with("unknown field") {
        return match quoted() {
            name if is_a_name(name) => {
                format!("Remove the field `{name}`: there is none of that name here.")
            }
            _ => "Remove the fields that this message does not have.".to_owned(),
        };
    }
    let path: String = error.path().to_string();
    let is_plain = path.len() <= 64
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'`');
    if path == "." || !is_plain {
        return NO_SUCH_MESSAGE.to_owned();
    }
    let expected = text.strip_prefix("expected ").unwrap_or_default();
    match expected.split(" at line ").next().unwrap_or_default() {
        "" => format!("Give the field `{path}` a value of the form that the API reference shows."),
        expected => format!("Give the field `{path}` what it takes: {expected}."),
    }
}

/// Whether a text can be what somebody took for the name of a field. Server tokens, access tokens and poll secrets are longer.
fn is_a_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

const MAX_NAME: usize = 24;

fn bad_request(detail: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(
        ErrorCode::BadRequest,
        "The request is not of the form that is expected here.",
        detail,
    )
}
