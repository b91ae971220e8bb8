//! What can go wrong between a caller and the broker.

use hubkey_protocol::{ErrorCode, Problem};

/// Why a call to the broker gave no answer of the expected kind.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client cannot be built: the certificates are unreadable or the credential is no header value.
    #[error("the client of the broker cannot be set up: {0}")]
    Setup(&'static str),
    /// No connection, or none in time.
    #[error("the broker cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The connection broke, or the time ended, while the answer was awaited or read: the outcome is unknown.
    #[error("the broker did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// The broker refused; the problem says why and what to do.
    #[error("the broker answered {}: {}", .0.status, .0.title)]
    Problem(Box<Problem>),
    /// The answer is not one of the broker's.
    #[error("the answer (status {status}) is not one of the broker's")]
    Unexpected {
        /// Its HTTP status.
        status: u16,
    },
}

impl ClientError {
    /// The broker's own word for it, where it said one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            Self::Setup(_) | Self::Unreachable(_) | Self::NoAnswer(_) | Self::Unexpected { .. } => {
                None
            }
        }
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) => true,
            Self::Problem(problem) => problem.code.is_transient(),
            Self::Unexpected { status } => *status >= 500,
            Self::Setup(_) => false,
        }
    }
}

/// A cause without the URL, which may hold a one-time value.
impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::Unreachable(error)
        } else {
            Self::NoAnswer(error)
        }
    }
}
