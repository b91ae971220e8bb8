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
    app::App,
    cookies::Ambiguous,
    params::{ParamError, Params},
    reference::new_reference,
    response,
};

/// What a path holds; a browser may send what is no text.
pub(super) type InPath = Result<Path<String>, PathRejection>;

/// One request of a browser.
pub(super) struct BrowserRequest {
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

impl FromRequestParts<App> for BrowserRequest {
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

impl BrowserRequest {
    /// The broker, asked on behalf of this request.
    pub(super) fn broker(&self) -> BrokerClient<SharedSecret> {
        self.app.broker().within(self.context.clone())
    }

    /// The parameters of the query.
    pub(super) fn query(&self) -> Params {
        Params::parse(self.query.as_bytes())
    }

    /// The cookie of a flow.
    pub(super) fn flow_cookie(&self, flow: &ShortId) -> Result<Option<FlowCookie>, RouteError> {
        Ok(self.app.cookies().read(&self.headers, flow)?)
    }

    /// The cookie that a state names. Without such a name there is none, and the broker refuses.
    pub(super) fn cookie_of_state(&self, state: &str) -> Result<Option<FlowCookie>, RouteError> {
        ShortId::of(state).map_or(Ok(None), |flow| self.flow_cookie(&flow))
    }

    /// Answers the browser with what the broker said, or with the error.
    pub(super) fn respond(self, result: Result<BrowserReply, RouteError>) -> Response {
        if let Some(sign_in) = self.context.joined() {
            traces::join(sign_in);
        }
        match result {
            Ok(reply) => response::reply(&self.app, &self.headers, reply),
            Err(error) => error.respond(&self.app),
        }
    }
}

/// The handle in a path.
pub(super) fn flow(in_path: InPath) -> Result<ShortId, RouteError> {
    let Path(text) = in_path.map_err(|_| RouteError::InvalidLink)?;
    Ok(ShortId::parse(text)?)
}

/// Why a request ends here.
#[derive(Debug)]
pub(super) enum RouteError {
    /// The link is none of ours.
    InvalidLink,
    /// Parameters or cookies do not fit.
    Malformed,
    /// A part of the address is longer than we take, and nothing leads to a sign-in that could be ended.
    TooLong,
    /// The broker gave no answer.
    Broker(ClientError),
}

impl RouteError {
    fn respond(&self, app: &App) -> Response {
        let reference = new_reference();
        let refusal = self.refusal();
        match self {
            Self::InvalidLink | Self::Malformed | Self::TooLong => {
                tracing::info!(reference = reference.as_str(), refusal = ?refusal, "a request was refused");
            }
            Self::Broker(problem) => {
                let cause = std::error::Error::source(problem).map(ToString::to_string);
                tracing::warn!(reference = reference.as_str(), %problem, cause, "the broker could not be asked");
            }
        }
        response::refused(app, refusal, &reference)
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::InvalidLink => Refusal::InvalidLink,
            Self::Malformed => Refusal::Malformed,
            Self::TooLong => Refusal::TooLong,
            Self::Broker(problem) => match problem.code() {
                Some(ErrorCode::RateLimited) => Refusal::RateLimited,
                _ => Refusal::Unavailable,
            },
        }
    }
}

impl From<InvalidId> for RouteError {
    fn from(_: InvalidId) -> Self {
        Self::InvalidLink
    }
}

impl From<ParamError> for RouteError {
    fn from(error: ParamError) -> Self {
        match error {
            ParamError::Malformed => Self::Malformed,
            ParamError::TooLong => Self::TooLong,
        }
    }
}

impl From<Ambiguous> for RouteError {
    fn from(_: Ambiguous) -> Self {
        Self::Malformed
    }
}

impl From<ClientError> for RouteError {
    fn from(problem: ClientError) -> Self {
        Self::Broker(problem)
    }
}
