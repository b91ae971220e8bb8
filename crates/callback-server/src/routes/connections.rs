//! `GET /connections`, `GET /connections/{flow}` and `POST /connections/{flow}/end`: the page "My connections".

use axum::response::Response;
use hubkey_protocol::{
    ConnectionId,
    internal::{
        BrowserAnswer, BrowserReply, EndConnections, GetPage, OpenConnectionsPage, Refusal,
    },
};

use super::{
    browser::{self, Browser, InPath, Stop},
    form::{self, Form},
};
use crate::answer;

/// What stands in the form in place of one connection's id.
const ALL: &str = "all";
/// Longer than any id of ours.
const MAX_ID: usize = 64;

pub(super) async fn connections(browser: Browser) -> Response {
    let message = OpenConnectionsPage {
        source: browser.source.clone(),
    };
    let reply = browser.broker().my_connections(&message).await;
    browser.tell(reply.map_err(Stop::from))
}

/// Who comes late, or with the address alone, is led to the Hub again.
pub(super) async fn view(browser: Browser, flow: InPath) -> Response {
    let reply = ask(&browser, flow).await;
    if is_late(&reply) {
        answer::my_connections(&browser.app)
    } else {
        browser.tell(reply)
    }
}

fn is_late(reply: &Result<BrowserReply, Stop>) -> bool {
    match reply {
        Ok(reply) => matches!(
            reply.answer,
            BrowserAnswer::Refused {
                refusal: Refusal::InvalidLink,
                ..
            }
        ),
        Err(stop) => matches!(stop, Stop::DeadLink),
    }
}

async fn ask(browser: &Browser, flow: InPath) -> Result<BrowserReply, Stop> {
    let flow = browser::flow(flow)?;
    let message = GetPage {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        source: browser.source.clone(),
    };
    Ok(browser.broker().view(&message).await?)
}

pub(super) async fn end(browser: Browser, flow: InPath, form: Form) -> Response {
    let reply = match read(&browser, flow, form) {
        Ok(message) => {
            let reply = browser.broker().end_connections(&message).await;
            reply.map_err(Stop::from)
        }
        Err(stop) => Err(stop),
    };
    browser.tell(reply)
}

fn read(browser: &Browser, flow: InPath, form: Form) -> Result<EndConnections, Stop> {
    let flow = browser::flow(flow)?;
    let mut form = form.read()?;
    let which = form.required("connection", MAX_ID)?;
    let connection = (which != ALL).then(|| ConnectionId::parse(which));
    Ok(EndConnections {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        csrf: form::csrf(&mut form)?,
        connection: connection.transpose().map_err(|_| Stop::Malformed)?,
        source: browser.source.clone(),
    })
}
