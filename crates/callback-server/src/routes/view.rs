//! `GET /sign-in/{flow}`: the page that belongs to a flow. Its address holds nothing that opens anything.

use axum::response::Response;
use hubkey_protocol::internal::{BrowserReply, GetPage};

use super::browser::{self, BrowserRequest, InPath, RouteError};

pub(super) async fn view(browser: BrowserRequest, flow: InPath) -> Response {
    let reply = relay(&browser, flow).await;
    browser.respond(reply)
}

async fn relay(browser: &BrowserRequest, flow: InPath) -> Result<BrowserReply, RouteError> {
    let flow = browser::flow(flow)?;
    let flow_cookie = browser.flow_cookie(&flow)?;
    let message = GetPage {
        flow,
        flow_cookie,
        source: browser.source.clone(),
    };
    Ok(browser.broker().view(&message).await?)
}
