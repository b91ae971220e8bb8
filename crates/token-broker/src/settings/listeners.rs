//! The kernel listener and the internal listener.

use std::net::SocketAddr;

use hubkey_protocol::{
    bounds::Bound,
    secret::{Secret, SharedSecret},
};
use hubkey_service::{
    http::{Limits, read_limits},
    settings::{Reader, Section, value_type},
    tls::{CertificateSetting, ServingCertificate, read_certificate},
};

/// Where kernels reach the broker.
#[derive(Debug)]
pub struct KernelSettings {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// Limits of connections, requests and times.
    pub limits: Limits,
    /// How many polls may wait at once.
    pub polls: usize,
    /// What it speaks TLS with; plain http without.
    pub certificate: Option<ServingCertificate>,
}

impl KernelSettings {
    /// Whether tokens go in clear to other machines.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.certificate.is_none() && !self.listen.ip().is_loopback()
    }
}

/// Where callback-server reaches the broker.
#[derive(Debug)]
pub struct InternalSettings {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// Limits of connections, requests and times.
    pub limits: Limits,
    /// What callback-server proves itself with; two during rotation.
    pub shared_secrets: Vec<SharedSecret>,
}

impl InternalSettings {
    /// Whether sign-ins go in clear to another machine.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        !self.listen.ip().is_loopback()
    }
}

pub(super) fn read_kernel(reader: &Reader) -> Option<KernelSettings> {
    let section = reader.section("kernel");
    let listen = section.required(
        "listen",
        &value_type::ADDRESS,
        "Where kernels reach the broker.",
    );
    let limits = read_limits(&section, Limits::kernel());
    let certificate = read_certificate(&section);
    let allow_plaintext = section.or(
        "allow_plaintext",
        &value_type::BOOL,
        false,
        "Whether kernels of other machines may reach this address without TLS.",
    );
    let polls = section.or(
        "max_waiting_polls",
        &value_type::Number::between(1, 1_000_000),
        10_240,
        "How many kernels may wait for their sign-in at once.",
    );
    let listen = listen?;
    let is_plain = matches!(certificate, CertificateSetting::Absent) && !listen.ip().is_loopback();
    if is_plain && !allow_plaintext {
        section.fail(
            "listen",
            "server tokens would cross the network in clear; set `kernel.certificate_file`, listen on 127.0.0.1, or set \
             `kernel.allow_plaintext = true` where something else encrypts the way between kernels and hubkey.",
        );
    }
    Some(KernelSettings {
        listen,
        limits,
        polls: usize::try_from(polls).unwrap_or(usize::MAX),
        certificate: certificate.loaded(),
    })
}

pub(super) fn read_internal(reader: &Reader) -> Option<InternalSettings> {
    let section = reader.section("internal");
    let listen = section.required(
        "listen",
        &value_type::ADDRESS,
        "Where callback-server reaches the broker; nothing else should.",
    );
    let limits = Limits {
        body_bytes: Bound::InternalBody.limit(),
        ..Limits::internal()
    };
    let limits = read_limits(&section, limits);
    let allow_plaintext = section.or(
        "allow_plaintext",
        &value_type::BOOL,
        false,
        "Whether a callback-server on another machine may reach this address without TLS.",
    );
    let current = section.secret(
        "shared_secret",
        SharedSecret::new,
        "What callback-server proves itself with.",
    );
    let previous = section.optional_secret(
        "previous_shared_secret",
        SharedSecret::new,
        "The one before, valid too while both servers are being changed over.",
    );
    let (listen, current) = (listen?, current?);
    if !listen.ip().is_loopback() && !allow_plaintext {
        section.fail(
            "listen",
            "sign-ins would cross the network in clear; listen on 127.0.0.1, or set `internal.allow_plaintext = true` where \
             something else encrypts the way between the two servers.",
        );
    }
    let shared_secrets: Vec<_> = std::iter::once(current).chain(previous).collect();
    check_length(&section, &shared_secrets);
    Some(InternalSettings {
        listen,
        limits,
        shared_secrets,
    })
}

fn check_length(section: &Section<'_>, secrets: &[SharedSecret]) {
    if secrets.iter().any(|secret| secret.expose().len() < 32) {
        section.fail(
            "shared_secret_file",
            "give it at least 32 characters, such as `openssl rand -hex 32` prints.",
        );
    }
}
