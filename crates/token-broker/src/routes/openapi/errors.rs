//! What each operation answers beside its success. Statuses, sentences and headers come from the table of failures.

use std::collections::BTreeMap;

use hubkey_protocol::{ErrorCode, Problem};
use utoipa::openapi::{
    Content, HeaderBuilder, ObjectBuilder, OpenApi, Ref, Response, ResponseBuilder, Type,
    path::Operation,
};

use ErrorCode::{
    AlreadyDelivered, AudienceNotAllowed, BadRequest, HeadersTooLarge, HubUnavailable,
    IdempotencyKeyReused, Internal, InvalidTarget, InvalidToken, IssuerNotAllowed,
    MethodNotAllowed, MissingServerScope, MissingToken, NotAServerToken, NotFound, NotTheHub,
    Overloaded, PayloadTooLarge, ProviderMisconfigured, ProviderRejectsToken, ProviderRequired,
    ProviderUnavailable, RateLimited, RefreshInProgress, RequestTimeout, ResourceNotAllowed,
    ScopeNotAllowed, SharedServer, SignInRequired, StoreUnavailable, Superseded, Timeout,
    TokenLifetimeTooShort, TooManySignIns, UnknownProvider, UnsupportedMediaType, UriTooLong,
    UserinfoRefused, UserinfoSubjectMismatch, UserinfoUnreadable,
};

/// What any request may be answered: by the listener, for its token, and while something is away.
const ANY_REQUEST: &[ErrorCode] = &[
    BadRequest,
    MissingToken,
    InvalidToken,
    NotAServerToken,
    MissingServerScope,
    MethodNotAllowed,
    RequestTimeout,
    PayloadTooLarge,
    UriTooLong,
    RateLimited,
    HeadersTooLarge,
    Internal,
    HubUnavailable,
    StoreUnavailable,
    Overloaded,
    Timeout,
];

/// What may be answered where a request says what is wanted.
const WANTED: &[ErrorCode] = &[
    ScopeNotAllowed,
    AudienceNotAllowed,
    ResourceNotAllowed,
    UnsupportedMediaType,
];

/// What may be answered where a token of a connection is needed.
const NEEDS_TOKEN: &[ErrorCode] = &[
    SignInRequired,
    ProviderMisconfigured,
    ProviderUnavailable,
    RefreshInProgress,
];

/// What may be answered where it needs a token with properties.
const TOKEN: &[ErrorCode] = &[
    NotFound,
    InvalidTarget,
    ProviderRejectsToken,
    TokenLifetimeTooShort,
];

const CREATE_SIGN_IN: &[ErrorCode] = &[
    UnknownProvider,
    ProviderRequired,
    IdempotencyKeyReused,
    SharedServer,
    TooManySignIns,
];

const USERINFO: &[ErrorCode] = &[
    NotFound,
    UserinfoRefused,
    UserinfoSubjectMismatch,
    UserinfoUnreadable,
];

/// What an operation answers beside what any request may be answered.
fn more(operation: &str) -> &'static [&'static [ErrorCode]] {
    match operation {
        "create_sign_in" => &[CREATE_SIGN_IN, WANTED, NEEDS_TOKEN],
        "sign_in_status" => &[&[NotFound, Superseded, AlreadyDelivered]],
        "acknowledge" | "cancel" | "sign_out" => &[&[NotFound]],
        "token" => &[WANTED, NEEDS_TOKEN, TOKEN],
        "exchange" => &[WANTED, NEEDS_TOKEN, TOKEN, &[IssuerNotAllowed]],
        "userinfo" => &[USERINFO, NEEDS_TOKEN],
        "server_stopped" => &[&[NotTheHub, UnsupportedMediaType]],
        _ => &[],
    }
}

/// Adds them to every operation of a document.
pub(super) fn add(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.post, &mut path.delete];
        for operation in operations.into_iter().flatten() {
            document_errors(operation);
        }
    }
}

fn document_errors(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ANY_REQUEST
        .iter()
        .chain(more(&id).iter().copied().flatten())
    {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let response = response(status, &codes);
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), response.into());
    }
}

/// The answer with one status: its words, each with its sentence, and the headers that come with it.
fn response(status: u16, codes: &[ErrorCode]) -> Response {
    let told: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.row().name, code.row().title))
        .collect();
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut response = ResponseBuilder::new()
        .description(told.join(" "))
        .content(Problem::CONTENT_TYPE, problem);
    if let Some((name, meaning, kind)) = header(status) {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .description(Some(meaning));
        response = response.header(name, header.build());
    }
    response.build()
}

/// The header that every answer with this status has.
fn header(status: u16) -> Option<(&'static str, &'static str, Type)> {
    match status {
        401 => Some((
            "WWW-Authenticate",
            "`Bearer` (RFC 6750 section 3).",
            Type::String,
        )),
        405 => Some((
            "Allow",
            "The methods that the address takes (RFC 9110 section 10.2.1).",
            Type::String,
        )),
        429 | 503 => Some((
            "Retry-After",
            "Seconds after which to try again (RFC 9110 section 10.2.3).",
            Type::Integer,
        )),
        _ => None,
    }
}
