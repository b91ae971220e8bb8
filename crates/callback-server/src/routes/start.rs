//! `GET /start/{ticket}`: the link in the notebook.

use axum::{extract::Path, response::Response};
use hubkey_protocol::{
    internal::{BrowserReply, OpenLink},
    secret::Ticket,
};

use super::browser::{Browser, InPath, Stop};

/// Longer than any ticket of ours.
const MAX_TICKET: usize = 128;

pub(super) async fn start(browser: Browser, ticket: InPath) -> Response {
    let reply = ask(&browser, ticket).await;
    browser.tell(reply)
}

async fn ask(browser: &Browser, ticket: InPath) -> Result<BrowserReply, Stop> {
    let Path(ticket) = ticket.map_err(|_| Stop::DeadLink)?;
    if ticket.len() > MAX_TICKET {
        return Err(Stop::DeadLink);
    }
    let message = OpenLink {
        ticket: Ticket::new(ticket),
        source: browser.source.clone(),
    };
    Ok(browser.broker().start(&message).await?)
}
