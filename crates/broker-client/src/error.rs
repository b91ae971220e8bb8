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

    /// What happened, as a sentence for the person. It says nothing of the cause, which can hold an address.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) => {
                "The token broker of this JupyterHub did not answer.".to_owned()
            }
            Self::Unexpected { status } => format!(
                "HUBKEY_URL leads to something that is not hubkey's broker, or to another version of it (status {status})."
            ),
            Self::Setup(what) => format!("The client of the broker cannot be set up: {what}."),
            Self::Untrusted(distrust) => format!("{distrust}."),
            Self::Problem { problem, .. } => problem.title.clone(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) => {
                "Try again in a minute; if it stays so, tell the operator that HUBKEY_URL cannot be reached from your \
                 server."
                    .to_owned()
            }
            Self::Unexpected { .. } => "Tell the operator of this JupyterHub.".to_owned(),
            Self::Setup(_) => "Check HUBKEY_URL and HUBKEY_CA_FILE.".to_owned(),
            Self::Untrusted(distrust) => format!("Nothing was sent to it. {}", distrust.remedy()),
            Self::Problem { problem, .. } => problem.detail.clone(),
        }
    }

    /// By what the operator finds the request, where it is they who can put it right.
    #[must_use]
    pub fn operator_reference(&self) -> Option<&str> {
        match self {
            Self::Problem {
                problem,
                request_id,
            } if problem.code.needs_operator() => request_id.as_deref(),
            Self::Problem { .. }
            | Self::Setup(_)
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
    #[error("The broker's certificate is signed by an authority that is not trusted here")]
    UnknownAuthority,
    /// The certificate does not name the host of the broker's URL.
    #[error("The broker's certificate is for another name than that in its URL")]
    OtherName,
    /// The certificate has ended, or does not hold yet.
    #[error("The broker's certificate has ended, or does not hold yet")]
    OutOfTime,
    /// What answers speaks something else.
    #[error("What answers at the broker's URL does not speak TLS")]
    NoTls,
    /// Anything else that is wrong with the certificate or the handshake.
    #[error("The broker's certificate cannot be accepted")]
    Other,
}

impl Distrust {
    /// Its word in Python's `code`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownAuthority => "unknown_authority",
            Self::OtherName => "other_name",
            Self::OutOfTime => "out_of_time",
            Self::NoTls => "no_tls",
            Self::Other => "other",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::UnknownAuthority => {
                "Ask the operator of this JupyterHub to give hubkey.hub.configure a ca_file (HUBKEY_CA_FILE): a PEM \
                 file, in your server, with the authority that signed it."
            }
            Self::OtherName => {
                "Ask the operator of this JupyterHub for a certificate that names the host of HUBKEY_URL."
            }
            Self::OutOfTime => {
                "Tell the operator of this JupyterHub that the certificate has to be renewed."
            }
            Self::NoTls => {
                "Ask the operator of this JupyterHub to correct HUBKEY_URL: https is not what is spoken there."
            }
            Self::Other => "Tell the operator of this JupyterHub.",
        }
    }

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
