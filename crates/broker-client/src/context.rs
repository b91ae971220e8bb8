//! What goes along with a call and says nothing of its content: the request and the trace that it is part of.

use std::sync::{Arc, OnceLock};

use hubkey_protocol::trace::{
    REQUEST_ID_HEADER, SignInSpan, TRACEPARENT_HEADER, TRACESTATE_HEADER, Traceparent,
};
use reqwest::{
    RequestBuilder,
    header::{HeaderMap, HeaderValue},
};

/// What a call is part of.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    request_id: Option<String>,
    span: Option<SignInSpan>,
    joined: Arc<OnceLock<Traceparent>>,
}

impl CallContext {
    /// Part of a request that has this id in the caller's logs, and of this span if the caller traces.
    #[must_use]
    pub fn of_request(id: &str, span: Option<Traceparent>) -> Self {
        let span = span.map(|at| SignInSpan {
            at,
            export_under: None,
        });
        Self {
            request_id: Some(id.to_owned()),
            span,
            joined: Arc::default(),
        }
    }

    /// Part of a `connect()`.
    #[must_use]
    pub fn of_connect(span: SignInSpan) -> Self {
        Self {
            span: Some(span),
            ..Self::default()
        }
    }

    /// The span of the sign-in that the call turned out to be part of, once the broker has answered.
    #[must_use]
    pub fn joined(&self) -> Option<Traceparent> {
        self.joined.get().copied()
    }

    pub(crate) fn write(&self, request: RequestBuilder) -> RequestBuilder {
        let pairs = [
            (REQUEST_ID_HEADER, self.request_id.clone()),
            (
                TRACEPARENT_HEADER,
                self.span.map(|span| span.at.to_string()),
            ),
            (
                TRACESTATE_HEADER,
                self.span.and_then(|span| span.tracestate()),
            ),
        ];
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)))
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            })
    }

    pub(crate) fn read(&self, answer: &HeaderMap) {
        let place = answer
            .get(TRACEPARENT_HEADER)
            .and_then(|value| Traceparent::parse(value.to_str().ok()?).ok());
        if let Some(place) = place {
            self.joined.get_or_init(|| place);
        }
    }
}
