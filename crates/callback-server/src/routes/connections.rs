//! `GET /connections`, `GET /connections/{flow}` and `POST /connections/{flow}/end`: the page "My connections".

use axum::response::Response;
use hubkey_protocol::{
    ConnectionId,
    internal::{
        BrowserAnswer, BrowserReply, EndConnections, GetPage, OpenConnectionsPage, Refusal,
    },
};

use super::{
    browser::{self, BrowserRequest, InPath, RouteError},
    form::{self, Form},
};
use crate::response;

/// What stands in the form in place of one connection's id.
const ALL: &str = "all";
/// Longer than any id of ours.
const MAX_ID: usize = 64;

pub(super) async fn connections(browser: BrowserRequest) -> Response {
    let message = OpenConnectionsPage {
        source: browser.source.clone(),
    };
    let reply = browser.broker().my_connections(&message).await;
    browser.respond(reply.map_err(RouteError::from))
}

/// Who comes late, or with the address alone, is led to the Hub again.
pub(super) async fn view(browser: BrowserRequest, flow: InPath) -> Response {
    let reply = relay(&browser, flow).await;
    if is_late(&reply) {
        response::my_connections(&browser.app)
    } else {
        browser.respond(reply)
    }
}

fn is_late(reply: &Result<BrowserReply, RouteError>) -> bool {
    match reply {
        Ok(reply) => matches!(
            reply.answer,
            BrowserAnswer::Refused {
                refusal: Refusal::InvalidLink,
                ..
            }
        ),
        Err(error) => matches!(error, RouteError::InvalidLink),
    }
}

async fn relay(browser: &BrowserRequest, flow: InPath) -> Result<BrowserReply, RouteError> {
    let flow = browser::flow(flow)?;
    let message = GetPage {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        source: browser.source.clone(),
    };
    Ok(browser.broker().view(&message).await?)
}

pub(super) async fn end(browser: BrowserRequest, flow: InPath, form: Form) -> Response {
    let reply = match read(&browser, flow, form) {
        Ok(message) => {
            let reply = browser.broker().end_connections(&message).await;
            reply.map_err(RouteError::from)
        }
        Err(error) => Err(error),
    };
    browser.respond(reply)
}

fn read(browser: &BrowserRequest, flow: InPath, form: Form) -> Result<EndConnections, RouteError> {
    let flow = browser::flow(flow)?;
    let mut form = form.read()?;
    let which = form.required("connection", MAX_ID)?;
    let connection = (which != ALL).then(|| ConnectionId::parse(which));
    Ok(EndConnections {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        csrf: form::csrf(&mut form)?,
        connection: connection.transpose().map_err(|_| RouteError::Malformed)?,
        source: browser.source.clone(),
    })
}
