//! `GET /connections`, `GET /connections/{flow}` and `POST /connections/{flow}/end`: the page "My connections".

use axum::{body::Bytes, extract::rejection::BytesRejection, response::Response};
use http::HeaderMap;
use hubkey_protocol::{
    ConnectionId,
    internal::{BrowserAnswer, BrowserReply, EndConnections, Refusal, View, Visit},
    secret::CsrfToken,
};

use super::{
    browser::{self, Browser, InPath, Stop},
    decide::{MAX_CSRF, is_form},
};
use crate::{answer, params::Params};

/// What stands in the form in place of one connection's id.
const ALL: &str = "all";
/// Longer than any id of ours.
const MAX_ID: usize = 64;

/// A body; a browser may send more than we read.
type Body = Result<Bytes, BytesRejection>;

pub(super) async fn connections(browser: Browser) -> Response {
    let message = Visit {
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
                refusal: Refusal::DeadLink,
                ..
            }
        ),
        Err(stop) => matches!(stop, Stop::DeadLink),
    }
}

async fn ask(browser: &Browser, flow: InPath) -> Result<BrowserReply, Stop> {
    let flow = browser::flow(flow)?;
    let message = View {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        source: browser.source.clone(),
    };
    Ok(browser.broker().view(&message).await?)
}

pub(super) async fn end(
    browser: Browser,
    flow: InPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let reply = match read(&browser, flow, &headers, body) {
        Ok(message) => {
            let reply = browser.broker().end_connections(&message).await;
            reply.map_err(Stop::from)
        }
        Err(stop) => Err(stop),
    };
    browser.tell(reply)
}

fn read(
    browser: &Browser,
    flow: InPath,
    headers: &HeaderMap,
    body: Body,
) -> Result<EndConnections, Stop> {
    let flow = browser::flow(flow)?;
    if !is_form(headers) {
        return Err(Stop::Malformed);
    }
    let mut form = Params::parse(&body.map_err(|_| Stop::Malformed)?);
    let which = form.required("connection", MAX_ID)?;
    let connection = (which != ALL).then(|| ConnectionId::parse(which));
    Ok(EndConnections {
        flow_cookie: browser.flow_cookie(&flow)?,
        flow,
        csrf: CsrfToken::new(form.optional("csrf", MAX_CSRF)?.unwrap_or_default()),
        connection: connection.transpose().map_err(|_| Stop::Malformed)?,
        source: browser.source.clone(),
    })
}
