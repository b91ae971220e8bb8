//! How much a listener takes, and for how long it waits.

use std::time::Duration;

use hubkey_protocol::bounds::Bound;
use ipnet::IpNet;

use crate::settings::{Section, value_type};

/// The limits of one listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the connection to the end of the handshake, where the listener speaks TLS.
    pub handshake_timeout: Duration,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// From the end of the head to the last byte of the body.
    pub body_timeout: Duration,
    /// How long a handler may take; longer than a long poll.
    pub handler_timeout: Duration,
    /// How long the client may take nothing of an answer.
    pub write_timeout: Duration,
    /// The request line and all header fields together, in bytes.
    pub head_bytes: usize,
    /// How much of a head is read, in bytes: one that is too large, and no larger than this, is answered by whoever can say
    /// what was too large.
    pub read_bytes: usize,
    /// The number of header fields.
    pub headers: usize,
    /// The request target, in bytes.
    pub url_bytes: usize,
    /// The body, in bytes.
    pub body_bytes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Connections of one client address at once; never counted for loopback and trusted proxies.
    pub per_address: Option<usize>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long requests may go on once shutdown has begun.
    pub shutdown_grace_period: Duration,
}

impl Limits {
    /// For listeners inside the cluster: 2,048 connections, no cap for one address. The sizes are rows of the table of
    /// bounds.
    #[must_use]
    pub fn internal() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(5),
            handler_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            head_bytes: Bound::Head.limit(),
            // A little more, so that the refusal can say what was too long.
            read_bytes: Bound::Head.limit() + 4 * 1024,
            headers: Bound::HeaderFields.limit(),
            url_bytes: Bound::Address.limit(),
            body_bytes: Bound::Body.limit(),
            connections: 2048,
            per_address: None,
            trusted_proxies: Vec::new(),
            shutdown_grace_period: Duration::from_secs(30),
        }
    }

    /// For the kernel listener, where ten thousand kernels wait: 12,288 connections.
    #[must_use]
    pub fn kernel() -> Self {
        Self {
            connections: 12_288,
            ..Self::internal()
        }
    }

    /// For a listener that browsers reach: at most 64 connections of one address, and heads in which a browser brings a
    /// code of 8 KiB back (ADR 57).
    #[must_use]
    pub fn public() -> Self {
        Self {
            head_bytes: Bound::PublicHead.limit(),
            read_bytes: Bound::PublicHeadRead.limit(),
            url_bytes: Bound::PublicAddress.limit(),
            per_address: Some(64),
            ..Self::internal()
        }
    }
}

/// Reads the limits of a listener from its section; `limits` says what holds otherwise.
#[must_use]
pub fn read_limits(section: &Section<'_>, mut limits: Limits) -> Limits {
    let connections = section.or(
        "max_connections",
        &value_type::Number::between(1, 1_000_000),
        limits.connections as u64,
        "How many connections may be open at once.",
    );
    limits.connections = whole(connections);
    limits.handler_timeout = section.or(
        "handler_timeout",
        &value_type::DurationType::between(Duration::from_secs(1), Duration::from_hours(1)),
        limits.handler_timeout,
        "How long one request may take.",
    );
    limits.shutdown_grace_period = section.or(
        "shutdown_grace_period",
        &value_type::DURATION,
        limits.shutdown_grace_period,
        "How long requests may go on once shutdown has begun.",
    );
    limits.trusted_proxies = section.list(
        "trusted_proxies",
        &value_type::NETWORK,
        "The proxies whose `X-Forwarded-For` is believed. No other forwarded header is ever believed.",
    );
    limits.per_address = limits
        .per_address
        .map(|default| read_per_address(section, default));
    limits
}

fn read_per_address(section: &Section<'_>, default: usize) -> usize {
    whole(section.or(
        "max_connections_per_address",
        &value_type::Number::between(1, 1_000_000),
        default as u64,
        "How many connections one address may have; loopback and trusted proxies are not counted.",
    ))
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
