//! One request of a browser, and what stops it before the broker is asked or when the broker does not answer.

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::{FromRequestParts, Path, rejection::PathRejection},
    response::Response,
};
use http::{HeaderMap, request::Parts};
use hubkey_broker_client::{BrokerClient, CallContext, ClientError};
use hubkey_protocol::{
    ErrorCode, InvalidId, ShortId,
    internal::{BrowserReply, Refusal},
    secret::{FlowCookie, SharedSecret},
};
use hubkey_service::{
    http::{ClientAddr, OversizedHead, RequestId},
    telemetry::traces,
};

use crate::{
    answer,
    app::App,
    cookies::Ambiguous,
    params::{Params, Unfit},
    reference::new_reference,
};

/// What a path holds; a browser may send what is no text.
pub(super) type InPath = Result<Path<String>, PathRejection>;

/// One request of a browser.
pub(super) struct Browser {
    pub(super) app: App,
    headers: HeaderMap,
    query: String,
    /// What the calls to the broker are part of.
    context: CallContext,
    /// The browser's address, for the audit stream only.
    pub(super) source: Option<String>,
    /// What the browser is counted by, where its address says anything.
    pub(super) rate_limit_key: Option<IpAddr>,
    /// What of the request is larger than we take; set at the routes only that end a sign-in for it.
    pub(super) too_long: Option<OversizedHead>,
}

impl FromRequestParts<App> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self {
            app: app.clone(),
            headers: parts.headers.clone(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            context: context(parts),
            source: client_addr(parts).map(|client| client.address().to_string()),
            rate_limit_key: client_addr(parts).and_then(|client| app.rate_limit_key(client)),
            too_long: parts.extensions.get().copied(),
        })
    }
}

/// The request as it is in our log, and as it is in traces.
fn context(parts: &Parts) -> CallContext {
    let id = parts.extensions.get::<RequestId>().cloned();
    let id = id.unwrap_or_else(RequestId::fresh);
    CallContext::of_request(id.as_str(), traces::current_span())
}

/// Whom the listener found out; only a router without a listener, in a test, has none.
fn client_addr(parts: &Parts) -> Option<ClientAddr> {
    parts.extensions.get::<ClientAddr>().copied()
}

impl Browser {
    /// The broker, asked on behalf of this request.
    pub(super) fn broker(&self) -> BrokerClient<SharedSecret> {
        self.app.broker().within(self.context.clone())
    }

    /// The parameters of the query.
    pub(super) fn query(&self) -> Params {
        Params::parse(self.query.as_bytes())
    }

    /// The cookie of a flow.
    pub(super) fn flow_cookie(&self, flow: &ShortId) -> Result<Option<FlowCookie>, Stop> {
        Ok(self.app.cookies().read(&self.headers, flow)?)
    }

    /// The cookie that a state names. Without such a name there is none, and the broker refuses.
    pub(super) fn cookie_of_state(&self, state: &str) -> Result<Option<FlowCookie>, Stop> {
        ShortId::of(state).map_or(Ok(None), |flow| self.flow_cookie(&flow))
    }

    /// Tells the browser what the broker said, or what stopped it.
    pub(super) fn tell(self, result: Result<BrowserReply, Stop>) -> Response {
        if let Some(sign_in) = self.context.joined() {
            traces::join(sign_in);
        }
        match result {
            Ok(reply) => answer::reply(&self.app, &self.headers, reply),
            Err(stop) => stop.tell(&self.app),
        }
    }
}

/// The handle in a path.
pub(super) fn flow(in_path: InPath) -> Result<ShortId, Stop> {
    let Path(text) = in_path.map_err(|_| Stop::DeadLink)?;
    Ok(ShortId::parse(text)?)
}

/// What stops a request here.
#[derive(Debug)]
pub(super) enum Stop {
    /// The link is none of ours.
    DeadLink,
    /// Parameters or cookies do not fit.
    Malformed,
    /// A part of the address is longer than we take, and nothing leads to a sign-in that could be ended.
    TooLong,
    /// The broker gave no answer.
    Broker(ClientError),
}

impl Stop {
    fn tell(&self, app: &App) -> Response {
        let reference = new_reference();
        let refusal = self.refusal();
        match self {
            Self::DeadLink | Self::Malformed | Self::TooLong => {
                tracing::info!(reference = reference.as_str(), refusal = ?refusal, "a request was refused");
            }
            Self::Broker(problem) => {
                let cause = std::error::Error::source(problem).map(ToString::to_string);
                tracing::warn!(reference = reference.as_str(), %problem, cause, "the broker could not be asked");
            }
        }
        answer::refused(app, refusal, &reference)
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::DeadLink => Refusal::InvalidLink,
            Self::Malformed => Refusal::Malformed,
            Self::TooLong => Refusal::TooLong,
            Self::Broker(problem) => match problem.code() {
                Some(ErrorCode::RateLimited) => Refusal::RateLimited,
                _ => Refusal::Unavailable,
            },
        }
    }
}

impl From<InvalidId> for Stop {
    fn from(_: InvalidId) -> Self {
        Self::DeadLink
    }
}

impl From<Unfit> for Stop {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Malformed => Self::Malformed,
            Unfit::TooLong => Self::TooLong,
        }
    }
}

impl From<Ambiguous> for Stop {
    fn from(_: Ambiguous) -> Self {
        Self::Malformed
    }
}

impl From<ClientError> for Stop {
    fn from(problem: ClientError) -> Self {
        Self::Broker(problem)
    }
}
