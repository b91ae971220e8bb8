//! What the provider keeps of codes, tokens and pushed requests.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Map, Value};

use crate::fake_http::Reply;

/// Seconds that tokens live.
pub(super) const LIFETIME: u64 = 300;

/// Which token a closure changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// The ID token.
    Id,
    /// The access token, after [`super::Capabilities::use_jwt_access_tokens`]; opaque ones have nothing to change.
    Access,
    /// The signed answer of userinfo, after [`super::Capabilities::sign_userinfo`].
    UserInfo,
}

/// The person who signs in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The subject.
    pub sub: String,
    /// More claims, of ID token and userinfo alike.
    pub claims: Map<String, Value>,
}

impl Account {
    /// An account with a name and a mail address made from the subject.
    #[must_use]
    pub fn new(sub: &str) -> Self {
        let account = Self {
            sub: sub.to_owned(),
            claims: Map::new(),
        };
        account
            .claim("name", format!("Person {sub}"))
            .claim("preferred_username", sub)
            .claim("email", format!("{sub}@op.example"))
            .claim("email_verified", true)
    }

    /// With this claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }
}

/// What comes back to the client in the query.
#[derive(Clone, Debug, Default)]
pub struct AuthorizationResponse {
    /// The parameters in order.
    pub params: Vec<(String, String)>,
}

impl AuthorizationResponse {
    /// Sets a parameter in place of those of this name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }

    /// Adds a parameter, also if it is there already.
    pub fn add(&mut self, name: &str, value: &str) {
        self.params.push((name.to_owned(), value.to_owned()));
    }

    /// Leaves a parameter out.
    pub fn remove(&mut self, name: &str) {
        self.params.retain(|(found, _)| found != name);
    }

    /// An error (RFC 6749, 4.1.2.1) in place of the code.
    pub fn fail(&mut self, error: &str) {
        self.remove("code");
        self.set("error", error);
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(found, _)| found == name)?;
        Some(&found.1)
    }

    pub(super) fn redirect(&self, redirect_uri: &str) -> Reply {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.params);
        let joint = if redirect_uri.contains('?') { '&' } else { '?' };
        let location = format!("{redirect_uri}{joint}{}", query.finish());
        Reply::redirect(StatusCode::FOUND, &location)
    }
}

/// A code that waits to be redeemed.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) account: Account,
}

/// Whose an access token is.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) account: Account,
    pub(super) client_id: String,
}

/// What an ID token is about.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) client_id: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) account: &'a Account,
    /// Now where absent.
    pub(super) auth_time: Option<u64>,
}

/// Whether the provider takes pushed authorization requests (RFC 9126).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pushed {
    /// It knows no such endpoint.
    #[default]
    Unknown,
    /// It offers one.
    Offered,
    /// It takes no other authorization requests.
    Required,
}

/// Pushed requests that wait for their browser, by reference.
#[derive(Debug, Default)]
pub(super) struct PushedRequests {
    pub(super) mode: Pushed,
    pub(super) waiting: HashMap<String, Waiting>,
}

/// A pushed request.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) client_id: String,
    pub(super) query: String,
}
