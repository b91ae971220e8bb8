//! `GET /oauth_callback`: back from the Hub, which says who this is.

use axum::response::Response;
use hubkey_protocol::{
    internal::{BrowserReply, HubCallback},
    secret::{AuthorizationCode, State},
};

use super::browser::{Browser, Stop};
use crate::routes::callback::{MAX_CODE, MAX_STATE};

pub(super) async fn hub_callback(browser: Browser) -> Response {
    let reply = ask(&browser).await;
    browser.tell(reply)
}

async fn ask(browser: &Browser) -> Result<BrowserReply, Stop> {
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
