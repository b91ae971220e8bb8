//! The settings of a listener's certificate.

use super::{CertificateError, CertificateFiles, ServingCertificate};
use crate::settings::{Section, value_type};

const CERTIFICATE: &str = "certificate_file";
const KEY: &str = "certificate_key_file";

/// What the settings say of a listener's certificate.
#[derive(Debug)]
pub enum CertificateSetting {
    /// None is named: the listener speaks plain HTTP.
    Absent,
    /// A mistake was noted.
    Invalid,
    /// The listener speaks TLS.
    Loaded(Box<ServingCertificate>),
}

impl CertificateSetting {
    /// The certificate, if there is one.
    #[must_use]
    pub fn loaded(self) -> Option<ServingCertificate> {
        match self {
            Self::Loaded(certificate) => Some(*certificate),
            Self::Absent | Self::Invalid => None,
        }
    }
}

/// Reads the two keys of a section that make its listener speak TLS, and the files that they name.
#[must_use]
pub fn read_certificate(section: &Section<'_>) -> CertificateSetting {
    let certificate = section.optional(
        CERTIFICATE,
        &value_type::PATH,
        "PEM: the certificate that this listener serves with, then those that lead to its authority. With it the listener \
         speaks TLS only. Read again every ten seconds.",
    );
    let key = section.optional(
        KEY,
        &value_type::PATH,
        "PEM: the private key of that certificate. Read again with it.",
    );
    let missing = |key, other| {
        section.fail(
            key,
            &format!(
                "name this file too, or leave `{}` out.",
                section.dotted(other)
            ),
        );
        CertificateSetting::Invalid
    };
    match (certificate, key) {
        (None, None) => CertificateSetting::Absent,
        (Some(_), None) => missing(KEY, CERTIFICATE),
        (None, Some(_)) => missing(CERTIFICATE, KEY),
        (Some(certificate), Some(key)) => load(section, CertificateFiles { certificate, key }),
    }
}

fn load(section: &Section<'_>, files: CertificateFiles) -> CertificateSetting {
    match ServingCertificate::open(files) {
        Ok(certificate) => CertificateSetting::Loaded(Box::new(certificate)),
        Err(error) => {
            let (key, advice) = advice(&error);
            section.fail(key, &format!("{error}; {advice}."));
            CertificateSetting::Invalid
        }
    }
}

fn advice(error: &CertificateError) -> (&'static str, &'static str) {
    match error {
        CertificateError::ReadCertificate(_) => (CERTIFICATE, "name a file that hubkey may read"),
        CertificateError::ReadKey(_) => (KEY, "name a file that hubkey may read"),
        CertificateError::Certificate => (
            CERTIFICATE,
            "name the file that begins with `-----BEGIN CERTIFICATE-----`",
        ),
        CertificateError::Key => (
            KEY,
            "name an RSA, ECDSA or Ed25519 key without a passphrase",
        ),
        CertificateError::Mismatch => (
            KEY,
            "name the key of the first certificate in the other file",
        ),
    }
}
