//! What a POST carries: a form.

use std::convert::Infallible;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use http::{HeaderMap, header::CONTENT_TYPE};
use hubkey_protocol::{bounds::Bound, secret::CsrfToken};

use super::browser::RouteError;
use crate::params::{ParamError, Params};

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// A body, whatever was sent. A handler reads it when it has looked at the address.
pub(super) struct Form(Option<Bytes>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        if !is_form(request.headers()) {
            return Ok(Self(None));
        }
        Ok(Self(Bytes::from_request(request, state).await.ok()))
    }
}

impl Form {
    /// Its parameters. Another media type and a body that is too large are malformed.
    pub(super) fn read(self) -> Result<Params, RouteError> {
        let body = self.0.ok_or(RouteError::Malformed)?;
        Ok(Params::parse(&body))
    }
}

/// A missing token goes on as an empty one: the broker refuses it like any wrong one, and writes it down.
pub(super) fn csrf(form: &mut Params) -> Result<CsrfToken, ParamError> {
    let token = form.optional("csrf", Bound::FormToken.limit())?;
    Ok(CsrfToken::new(token.unwrap_or_default()))
}

fn is_form(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}
