//! `POST /continue/{flow}` and `POST /confirm/{flow}`: what a person decided.

use axum::{body::Bytes, extract::rejection::BytesRejection, response::Response};
use http::{HeaderMap, header::CONTENT_TYPE};
use hubkey_protocol::{
    internal::{Decide, Decision},
    secret::CsrfToken,
};

use super::browser::{self, Browser, InPath, Stop};
use crate::params::{Malformed, Params};

/// Longer than any form token of ours.
pub(super) const MAX_CSRF: usize = 128;
const FORM: &str = "application/x-www-form-urlencoded";

/// A body; a browser may send more than we read.
type Body = Result<Bytes, BytesRejection>;

pub(super) async fn continue_(
    browser: Browser,
    flow: InPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let reply = match read(&browser, flow, &headers, body) {
        Ok(message) => browser
            .broker()
            .continue_(&message)
            .await
            .map_err(Stop::from),
        Err(stop) => Err(stop),
    };
    browser.tell(reply)
}

pub(super) async fn confirm(
    browser: Browser,
    flow: InPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let reply = match read(&browser, flow, &headers, body) {
        Ok(message) => browser.broker().confirm(&message).await.map_err(Stop::from),
        Err(stop) => Err(stop),
    };
    browser.tell(reply)
}

fn read(browser: &Browser, flow: InPath, headers: &HeaderMap, body: Body) -> Result<Decide, Stop> {
    let flow = browser::flow(flow)?;
    if !is_form(headers) {
        return Err(Stop::Malformed);
    }
    let mut form = Params::parse(&body.map_err(|_| Stop::Malformed)?);
    Ok(Decide {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        // A missing token goes on as an empty one: the broker refuses it like any wrong one, and writes it down.
        csrf: CsrfToken::new(form.optional("csrf", MAX_CSRF)?.unwrap_or_default()),
        decision: decision(&form.required("decision", MAX_CSRF)?)?,
        source: browser.source.clone(),
    })
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(FORM))
}

fn decision(text: &str) -> Result<Decision, Malformed> {
    match text {
        "accept" => Ok(Decision::Accept),
        "cancel" => Ok(Decision::Cancel),
        _ => Err(Malformed),
    }
}
