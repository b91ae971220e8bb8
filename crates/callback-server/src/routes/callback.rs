//! `GET /callback/{provider}`: back from a provider.

use axum::{extract::Path, response::Response};
use hubkey_protocol::{
    ProviderId,
    internal::{BrowserReply, ProviderCallback},
    secret::{AuthorizationCode, State},
};

use super::browser::{Browser, InPath, Stop};

/// Longer than any state of ours.
pub(super) const MAX_STATE: usize = 256;
/// Longer than the codes of providers that put a whole encrypted record into them.
pub(super) const MAX_CODE: usize = 3072;
const MAX_ISSUER: usize = 512;
const MAX_ERROR: usize = 64;

pub(super) async fn callback(browser: Browser, provider: InPath) -> Response {
    let reply = ask(&browser, provider).await;
    browser.tell(reply)
}

async fn ask(browser: &Browser, provider: InPath) -> Result<BrowserReply, Stop> {
    let Path(provider) = provider.map_err(|_| Stop::DeadLink)?;
    let provider = ProviderId::parse(provider)?;
    let mut query = browser.query();
    let state = query.required("state", MAX_STATE)?;
    // `error_description` and `error_uri` are the provider's own text: they are not even read.
    let message = ProviderCallback {
        flow_cookie: browser.cookie_of_state(&state)?,
        code: query
            .optional("code", MAX_CODE)?
            .map(AuthorizationCode::new),
        iss: query.optional("iss", MAX_ISSUER)?,
        error: query.optional("error", MAX_ERROR)?,
        state: State::new(state),
        source: browser.source.clone(),
    };
    Ok(browser.broker().callback(&provider, &message).await?)
}
