//! `GET /oauth_callback`: back from the Hub, which says who this is.

use axum::response::Response;
use hubkey_protocol::{
    bounds::Bound,
    internal::{BrowserReply, HubCallback},
    secret::{AuthorizationCode, State},
};

use super::browser::{BrowserRequest, RouteError};

pub(super) async fn hub_callback(browser: BrowserRequest) -> Response {
    let reply = relay(&browser).await;
    browser.respond(reply)
}

async fn relay(browser: &BrowserRequest) -> Result<BrowserReply, RouteError> {
    let mut query = browser.query();
    let state = query.required("state", Bound::State.limit())?;
    let message = HubCallback {
        flow_cookie: browser.cookie_of_state(&state)?,
        code: query
            .optional("code", Bound::Code.limit())?
            .map(AuthorizationCode::new),
        state: State::new(state),
        source: browser.source.clone(),
        peer: browser.rate_limit_key,
    };
    Ok(browser.broker().hub_callback(&message).await?)
}
