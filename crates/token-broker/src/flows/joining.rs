//! Which trace a request is part of.

use hubkey_service::telemetry::traces;

use crate::domain::sign_in::SignIn;

/// The spans of this request are part of the sign-in's trace from here on.
pub(super) fn join(sign_in: &SignIn) {
    if let Some(span) = &sign_in.span {
        traces::join(span.at);
    }
}
