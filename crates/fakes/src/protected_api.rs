//! A small API that wants an access token of the person who calls: for the demo and the tests.
//!
//! It checks a token as an API should (signature by the issuer's published keys, issuer, audience, times, scope) and
//! answers with who called. Refusals are those of RFC 6750. Clients of object stores find a file in it, and AWS's a security
//! token service, so that each asks in its own way for what the token permits.

mod aws;
mod keys;
mod refusal;
mod settings;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{AUTHORIZATION, ETAG, LAST_MODIFIED, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use refusal::Refusal;
pub use settings::Settings;
use token::Judge;

/// A running API; it ends when dropped.
#[derive(Debug)]
pub struct ProtectedApi {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ProtectedApi {
    /// Starts on a free port of 127.0.0.1. The issuer is asked only when the first token comes.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("could not listen")?;
        let address = listener
            .local_addr()
            .context("a bound listener has an address")?;
        let router = router(settings)?;
        let task = tokio::spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for ProtectedApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The API's routes.
pub fn router(settings: Settings) -> anyhow::Result<Router> {
    let judge = Arc::new(Judge::new(settings)?);
    Ok(Router::new()
        .route("/healthz", get(healthz))
        .route("/projects", get(projects))
        .route("/projects/{file}", get(file))
        .route("/sts", post(aws::assume_role))
        .with_state(judge))
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn projects(State(judge): State<Arc<Judge>>, headers: HeaderMap) -> Response {
    match judge.caller(bearer_token(&headers)).await {
        Ok(caller) => Json(json!({
            "caller": caller,
            "projects": ["aurora", "basalt", "cirrus"],
        }))
        .into_response(),
        Err(refusal) => refuse(refusal, judge.scope()),
    }
}

/// What the clients of object stores want to know of a file.
async fn file(State(judge): State<Arc<Judge>>, headers: HeaderMap) -> Response {
    let kept = [
        (ETAG, r#""1""#),
        (LAST_MODIFIED, "Wed, 25 Nov 2026 00:00:00 GMT"),
    ];
    match judge.caller(bearer_token(&headers)).await {
        Ok(_) => (kept, "a file\n").into_response(),
        Err(refusal) => refuse(refusal, judge.scope()),
    }
}

/// The token of the one `Authorization: Bearer`.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && values.next().is_none()).then_some(token)
}

/// RFC 6750, section 3.
fn refuse(refusal: Refusal, scope: &str) -> Response {
    let (status, parameters) = match refusal {
        Refusal::NoToken => (StatusCode::UNAUTHORIZED, String::new()),
        Refusal::Invalid(why) => {
            let error = format!(r#", error="invalid_token", error_description="{why}""#);
            (StatusCode::UNAUTHORIZED, error)
        }
        Refusal::InsufficientScope => {
            let error = format!(r#", error="insufficient_scope", scope="{scope}""#);
            (StatusCode::FORBIDDEN, error)
        }
        Refusal::NoKeys => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let challenge = format!(r#"Bearer realm="projects"{parameters}"#);
    (
        status,
        [(WWW_AUTHENTICATE, challenge)],
        Json(json!({ "status": status.as_u16() })),
    )
        .into_response()
}

#[cfg(test)]
mod tests;
