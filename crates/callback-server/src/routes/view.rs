//! `GET /sign-in/{flow}`: the page that belongs to a flow. Its address holds nothing that opens anything.

use axum::response::Response;
use hubkey_protocol::internal::{BrowserReply, GetPage};

use super::browser::{self, Browser, InPath, Stop};

pub(super) async fn view(browser: Browser, flow: InPath) -> Response {
    let reply = ask(&browser, flow).await;
    browser.tell(reply)
}

async fn ask(browser: &Browser, flow: InPath) -> Result<BrowserReply, Stop> {
    let flow = browser::flow(flow)?;
    let flow_cookie = browser.flow_cookie(&flow)?;
    let message = GetPage {
        flow,
        flow_cookie,
        source: browser.source.clone(),
    };
    Ok(browser.broker().view(&message).await?)
}
