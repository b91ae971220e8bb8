//! What can go wrong between a caller and the broker.

use std::{error::Error, io};

use hubkey_protocol::{ErrorCode, Problem};
use rustls::CertificateError;

/// Why a call to the broker gave no answer of the expected kind.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client cannot be built: the certificates are unreadable or the credential is no header value.
    #[error("the client of the broker cannot be set up: {0}")]
    Setup(&'static str),
    /// Somebody answered who does not prove to be the broker. Nothing was sent.
    #[error("{0}")]
    Untrusted(Distrust),
    /// No connection, or none in time.
    #[error("the broker cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The connection broke, or the time ended, while the answer was awaited or read: the outcome is unknown.
    #[error("the broker did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// The broker refused; the problem says why and what to do.
    #[error("the broker answered {}: {}", .problem.status, .problem.title)]
    Problem {
        /// What it says.
        problem: Box<Problem>,
        /// The `X-Request-Id` of the answer, by which the broker's log names the request.
        request_id: Option<String>,
    },
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
            Self::Problem { problem, .. } => Some(problem.code),
            Self::Setup(_)
            | Self::Untrusted(_)
            | Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::Unexpected { .. } => None,
        }
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) => true,
            Self::Problem { problem, .. } => problem.code.is_transient(),
            Self::Unexpected { status } => *status >= 500,
            Self::Setup(_) | Self::Untrusted(_) => false,
        }
    }
}

/// A cause without the URL, which may hold a one-time value.
impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(distrust) = Distrust::of(&error) {
            Self::Untrusted(distrust)
        } else if error.is_connect() {
            Self::Unreachable(error)
        } else {
            Self::NoAnswer(error)
        }
    }
}

/// Why whoever answered was not believed to be the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// None of the authorities that are trusted here has signed its certificate.
    #[error("the broker's certificate is signed by an authority that is not trusted here")]
    UnknownAuthority,
    /// The certificate does not name the host of the broker's URL.
    #[error("the broker's certificate is for another name than that in its URL")]
    OtherName,
    /// The certificate has ended, or does not hold yet.
    #[error("the broker's certificate has ended, or does not hold yet")]
    OutOfTime,
    /// What answers speaks something else.
    #[error("what answers at the broker's URL does not speak TLS")]
    NoTls,
    /// Anything else that is wrong with the certificate or the handshake.
    #[error("the broker's certificate cannot be accepted")]
    Other,
}

impl Distrust {
    /// `None` where TLS is not to blame.
    fn of(error: &reqwest::Error) -> Option<Self> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::of_tls(error);
            }
            // An I/O error names as its source not what it wraps, but the source of that.
            let wrapped = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    fn of_tls(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(error) => Some(Self::of_certificate(error)),
            rustls::Error::InvalidMessage(_) => Some(Self::NoTls),
            rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
                Some(Self::Other)
            }
            _ => None,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OtherName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::OutOfTime,
            _ => Self::Other,
        }
    }
}
