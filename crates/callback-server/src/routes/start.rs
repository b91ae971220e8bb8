//! `GET /start/{ticket}`: the link in the notebook.

use axum::{extract::Path, response::Response};
use hubkey_protocol::{
    bounds::Bound,
    internal::{BrowserReply, OpenLink},
    secret::Ticket,
};

use super::browser::{BrowserRequest, InPath, RouteError};

pub(super) async fn start(browser: BrowserRequest, ticket: InPath) -> Response {
    let reply = relay(&browser, ticket).await;
    browser.respond(reply)
}

async fn relay(browser: &BrowserRequest, ticket: InPath) -> Result<BrowserReply, RouteError> {
    let Path(ticket) = ticket.map_err(|_| RouteError::InvalidLink)?;
    if ticket.len() > Bound::Ticket.limit() {
        return Err(RouteError::InvalidLink);
    }
    let message = OpenLink {
        ticket: Ticket::new(ticket),
        source: browser.source.clone(),
    };
    Ok(browser.broker().start(&message).await?)
}
