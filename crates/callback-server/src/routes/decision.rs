//! `POST /continue/{flow}` and `POST /confirm/{flow}`: what a person decided.

use axum::response::Response;
use hubkey_protocol::internal::{Decision, SubmitDecision};

use super::{
    browser::{self, BrowserRequest, InPath, RouteError},
    form::{self, Form},
};
use crate::params::ParamError;

/// Longer than any decision.
const MAX_DECISION: usize = 16;

pub(super) async fn continue_(browser: BrowserRequest, flow: InPath, form: Form) -> Response {
    let reply = match read(&browser, flow, form) {
        Ok(message) => browser
            .broker()
            .continue_(&message)
            .await
            .map_err(RouteError::from),
        Err(error) => Err(error),
    };
    browser.respond(reply)
}

pub(super) async fn confirm(browser: BrowserRequest, flow: InPath, form: Form) -> Response {
    let reply = match read(&browser, flow, form) {
        Ok(message) => browser
            .broker()
            .confirm(&message)
            .await
            .map_err(RouteError::from),
        Err(error) => Err(error),
    };
    browser.respond(reply)
}

fn read(browser: &BrowserRequest, flow: InPath, form: Form) -> Result<SubmitDecision, RouteError> {
    let flow = browser::flow(flow)?;
    let mut form = form.read()?;
    Ok(SubmitDecision {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        csrf: form::csrf(&mut form)?,
        decision: decision(&form.required("decision", MAX_DECISION)?)?,
        source: browser.source.clone(),
    })
}

fn decision(text: &str) -> Result<Decision, ParamError> {
    match text {
        "accept" => Ok(Decision::Accept),
        "cancel" => Ok(Decision::Cancel),
        _ => Err(ParamError::Malformed),
    }
}
