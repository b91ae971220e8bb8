//! `POST /continue/{flow}` and `POST /confirm/{flow}`: what a person decided.

use axum::response::Response;
use hubkey_protocol::internal::{Decision, SubmitDecision};

use super::{
    browser::{self, Browser, InPath, Stop},
    form::{self, Form},
};
use crate::params::Unfit;

/// Longer than any decision.
const MAX_DECISION: usize = 16;

pub(super) async fn continue_(browser: Browser, flow: InPath, form: Form) -> Response {
    let reply = match read(&browser, flow, form) {
        Ok(message) => browser
            .broker()
            .continue_(&message)
            .await
            .map_err(Stop::from),
        Err(stop) => Err(stop),
    };
    browser.tell(reply)
}

pub(super) async fn confirm(browser: Browser, flow: InPath, form: Form) -> Response {
    let reply = match read(&browser, flow, form) {
        Ok(message) => browser.broker().confirm(&message).await.map_err(Stop::from),
        Err(stop) => Err(stop),
    };
    browser.tell(reply)
}

fn read(browser: &Browser, flow: InPath, form: Form) -> Result<SubmitDecision, Stop> {
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

fn decision(text: &str) -> Result<Decision, Unfit> {
    match text {
        "accept" => Ok(Decision::Accept),
        "cancel" => Ok(Decision::Cancel),
        _ => Err(Unfit::Malformed),
    }
}
