//! An outbound proxy: how a client is told of it, and what it did where there is no way through it.

use std::{error::Error, iter::successors};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hubkey_domain::provider::{OutboundProxy, ProxyCredentials};
use hubkey_protocol::secret::Secret as _;
use reqwest::{Proxy, header::HeaderValue};
use zeroize::Zeroizing;

/// Takes all calls: none goes past it.
pub(super) fn through(proxy: &OutboundProxy) -> reqwest::Result<Proxy> {
    let through = Proxy::all(proxy.url.clone())?;
    let authorization = proxy.credentials.as_ref().and_then(basic);
    Ok(match authorization {
        Some(authorization) => through.custom_http_auth(authorization),
        None => through,
    })
}

/// `Basic` (RFC 7617), byte by byte: what stands in a URL would be decoded.
fn basic(credentials: &ProxyCredentials) -> Option<HeaderValue> {
    let ProxyCredentials { user, password } = credentials;
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The proxy as the log names it: where it is.
pub(super) fn name(proxy: &OutboundProxy) -> String {
    proxy.url.origin().ascii_serialization()
}

/// Why there was no connection to the provider through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// There was no connection to the proxy itself.
    Unreachable,
    /// It answered 407.
    AuthenticationRequired,
    /// It answered neither 200 nor 407.
    Refused,
    /// It closed the connection before it answered.
    Closed,
    /// It let us wait.
    Silent,
    /// It answered 200, and who answered through it has no certificate that is trusted for the provider.
    OtherCertificate,
    /// It answered 200, and there was no TLS through it.
    Broken,
}

impl Obstacle {
    /// Nothing where the call failed later than that. The libraries tell these apart in words only; the tests play each.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        if !error.is_connect() {
            return None;
        }
        let causes = successors(error.source(), |&cause| cause.source());
        let mut told = causes.filter_map(|cause| Self::told(&cause.to_string()));
        Some(told.next().unwrap_or(Self::Broken))
    }

    fn told(words: &str) -> Option<Self> {
        Some(match words {
            "tunnel error: failed to create underlying connection" => Self::Unreachable,
            "tunnel error: proxy authorization required" => Self::AuthenticationRequired,
            "tunnel error: unsuccessful" | "tunnel error: proxy response headers too long" => {
                Self::Refused
            }
            "tunnel error: unexpected end of file"
            | "tunnel error: io error establishing tunnel" => Self::Closed,
            "operation timed out" => Self::Silent,
            _ if words.starts_with("invalid peer certificate") => Self::OtherCertificate,
            _ => return None,
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::AuthenticationRequired => "authentication_required",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::OtherCertificate => "other_certificate",
            Self::Broken => "broken",
        }
    }

    /// What the operator can do.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "The outbound proxy cannot be reached. Check its URL, the way to it, and for https its certificate."
            }
            Self::AuthenticationRequired => {
                "The outbound proxy asks for credentials (407). Set its user and password_file, or correct them."
            }
            Self::Refused => {
                "The outbound proxy refused the way to the provider: it answered CONNECT with neither 200 nor 407. Its own \
                 log says why: a rule of access (403), or it does not reach the provider itself (502, 503, 504)."
            }
            Self::Closed => {
                "The outbound proxy closed the connection instead of answering CONNECT. Is its URL that of a proxy, with \
                 the right scheme and port?"
            }
            Self::Silent => {
                "The outbound proxy did not make the way to the provider in time. Does it answer, and reach the provider?"
            }
            Self::OtherCertificate => {
                "What answers through the outbound proxy has no certificate that is trusted for this provider. A proxy that \
                 opens TLS has to leave this provider alone; it would read client secrets and tokens."
            }
            Self::Broken => {
                "The outbound proxy made the way to the provider, and it broke before TLS was there. Its own log says why."
            }
        }
    }
}
