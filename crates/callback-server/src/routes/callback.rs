//! `GET /callback/{provider}`: back from a provider.

use axum::{extract::Path, response::Response};
use hubkey_protocol::{
    ProviderId,
    bounds::Bound,
    internal::{BrowserReply, ProviderCallback, TooLong},
    secret::{AuthorizationCode, State},
};
use hubkey_service::http;

use super::browser::{BrowserRequest, InPath, RouteError};
use crate::params::{ParamError, Params};

/// In place of an error that is longer: none of the standard ones.
const LONG_ERROR: &str = "error_too_long";

pub(super) async fn callback(browser: BrowserRequest, provider: InPath) -> Response {
    let reply = relay(&browser, provider).await;
    browser.respond(reply)
}

async fn relay(browser: &BrowserRequest, provider: InPath) -> Result<BrowserReply, RouteError> {
    let Path(provider) = provider.map_err(|_| RouteError::InvalidLink)?;
    let provider = ProviderId::parse(provider)?;
    let mut query = browser.query();
    let state = query.required("state", Bound::State.limit())?;
    let returned = CallbackParams::read(&mut query)?;
    let too_long = browser.too_long.map(of_head).or(returned.too_long);
    let message = ProviderCallback {
        flow_cookie: browser.cookie_of_state(&state)?,
        // What ends the sign-in does not bring a code along.
        code: returned
            .code
            .filter(|_| too_long.is_none())
            .map(AuthorizationCode::new),
        iss: returned.iss,
        error: returned.error,
        too_long,
        state: State::new(state),
        source: browser.source.clone(),
    };
    Ok(browser.broker().callback(&provider, &message).await?)
}

fn of_head(what: http::OversizedHead) -> TooLong {
    match what {
        http::OversizedHead::Address => TooLong::Address,
        http::OversizedHead::Header => TooLong::Header,
    }
}

/// What a provider sent back, beside the state. What is too long is left out and reported to the broker, which ends the
/// sign-in for it: its kernel waits.
#[derive(Default)]
struct CallbackParams {
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    too_long: Option<TooLong>,
}

impl CallbackParams {
    /// `error_description` and `error_uri` are the provider's own text: they are not even read.
    fn read(query: &mut Params) -> Result<Self, RouteError> {
        let mut read = Self {
            error: query
                .optional("error", Bound::ResponseError.limit())
                .or_else(|error| match error {
                    ParamError::TooLong => Ok(Some(LONG_ERROR.to_owned())),
                    ParamError::Malformed => Err(error),
                })?,
            ..Self::default()
        };
        read.iss = read.unless_too_long(
            query.optional("iss", Bound::ResponseIssuer.limit()),
            TooLong::Issuer,
        )?;
        read.code =
            read.unless_too_long(query.optional("code", Bound::Code.limit()), TooLong::Code)?;
        Ok(read)
    }

    fn unless_too_long(
        &mut self,
        value: Result<Option<String>, ParamError>,
        what: TooLong,
    ) -> Result<Option<String>, RouteError> {
        if value == Err(ParamError::TooLong) {
            self.too_long = Some(what);
            return Ok(None);
        }
        Ok(value?)
    }
}
