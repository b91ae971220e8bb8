//! `GET /oauth_callback`: back from the Hub, which says who this is.

use axum::response::Response;
use hubkey_protocol::{
    internal::{BrowserReply, HubCallback},
    secret::{AuthorizationCode, State},
};

use super::browser::{BrowserRequest, RouteError};
use crate::routes::callback::{MAX_CODE, MAX_STATE};

pub(super) async fn hub_callback(browser: BrowserRequest) -> Response {
    let reply = relay(&browser).await;
    browser.respond(reply)
}

async fn relay(browser: &BrowserRequest) -> Result<BrowserReply, RouteError> {
    let mut query = browser.query();
    let state = query.required("state", MAX_STATE)?;
    let message = HubCallback {
        flow_cookie: browser.cookie_of_state(&state)?,
        code: query
            .optional("code", MAX_CODE)?
            .map(AuthorizationCode::new),
        state: State::new(state),
        source: browser.source.clone(),
        peer: browser.rate_limit_key,
    };
    Ok(browser.broker().hub_callback(&message).await?)
}
