//! The record of what a fake was asked.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::extract::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method};

use super::{locked, pairs, single};

/// A body longer than this is not read: no client of ours sends one.
const BODY_LIMIT: usize = 1 << 20;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The method.
    pub method: Method,
    /// The path, percent-encoding kept.
    pub path: String,
    /// The query as text, without the question mark.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Captured {
    pub(super) async fn read(request: Request) -> Result<Self, axum::Error> {
        let (head, body) = request.into_parts();
        Ok(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: axum::body::to_bytes(body, BODY_LIMIT).await?,
        })
    }

    /// The query's parameters in order, repetitions kept.
    #[must_use]
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        pairs(self.query.as_bytes())
    }

    /// The parameter of the query, if it is there exactly once.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        single(&self.query_pairs(), name).map(str::to_owned)
    }

    /// The form's fields in order, repetitions kept.
    #[must_use]
    pub fn form_pairs(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }

    /// The field of the form, if it is there exactly once.
    #[must_use]
    pub fn form_value(&self, name: &str) -> Option<String> {
        single(&self.form_pairs(), name).map(str::to_owned)
    }

    /// The header `Authorization`, if it is there exactly once and is text.
    #[must_use]
    pub fn authorization(&self) -> Option<&str> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The token of `Authorization: <scheme> <token>`, the scheme in any case.
    #[must_use]
    pub fn token_of_scheme(&self, scheme: &str) -> Option<&str> {
        let (found, token) = self.authorization()?.split_once(' ')?;
        found.eq_ignore_ascii_case(scheme).then_some(token)
    }

    /// User and password of `Authorization: Basic`, decoded from base64 only.
    #[must_use]
    pub fn basic_credentials(&self) -> Option<(String, String)> {
        let decoded = STANDARD.decode(self.token_of_scheme("Basic")?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// The first cookie of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// Every request by endpoint.
#[derive(Debug)]
pub struct Recorder<E>(Mutex<HashMap<E, Vec<Captured>>>);

impl<E> Default for Recorder<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: Copy + Eq + Hash> Recorder<E> {
    /// Writes a request down.
    pub fn note(&self, endpoint: E, request: Captured) {
        locked(&self.0).entry(endpoint).or_default().push(request);
    }

    /// How often the endpoint was asked.
    #[must_use]
    pub fn hits(&self, endpoint: E) -> usize {
        locked(&self.0).get(&endpoint).map_or(0, Vec::len)
    }

    /// What the endpoint was asked, oldest first.
    #[must_use]
    pub fn requests(&self, endpoint: E) -> Vec<Captured> {
        locked(&self.0).get(&endpoint).cloned().unwrap_or_default()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        locked(&self.0).clear();
    }
}
