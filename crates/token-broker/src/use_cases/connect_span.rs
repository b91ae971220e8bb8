//! The span of a sign-in.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::{Clock, Timestamp},
    sign_in::SignIn,
};
use hubkey_protocol::{ProviderId, trace::SignInSpan};
use hubkey_service::telemetry::traces::{self, Interval};

use crate::use_cases::base::Base;

/// Exports the span of a `connect()` when it ends.
#[derive(Debug)]
pub(crate) struct ConnectSpans {
    clock: Arc<dyn Clock>,
}

impl ConnectSpans {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
        }
    }

    /// Exports the `connect()` that waited for a sign-in: it is over.
    pub(crate) fn export_connect(&self, sign_in: &SignIn, outcome: &'static str) {
        if let Some(span) = &sign_in.span {
            self.export_span(span, sign_in.asked_at, &sign_in.provider, outcome);
        }
    }

    /// Exports a `connect()` that needed no sign-in, or got none.
    pub(crate) fn export_short_connect(&self, provider: &ProviderId, outcome: &'static str) {
        if let Some(span) = traces::sign_in_span() {
            self.export_span(&span, self.clock.now(), provider, outcome);
        }
    }

    /// The same, where the sign-in itself is gone.
    pub(crate) fn export_span(
        &self,
        span: &SignInSpan,
        from: Timestamp,
        provider: &ProviderId,
        outcome: &'static str,
    ) {
        let since_epoch = |at: Timestamp| Duration::from_millis(at.as_millis());
        let interval = Interval {
            from: since_epoch(from),
            until: since_epoch(self.clock.now()),
        };
        traces::export_connect_span(span, interval, provider.as_str(), outcome);
    }
}

/// The spans of this request are part of the sign-in's trace from here on.
pub(crate) fn join(sign_in: &SignIn) {
    if let Some(span) = &sign_in.span {
        traces::join(span.at);
    }
}
