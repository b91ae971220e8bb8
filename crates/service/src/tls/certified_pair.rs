//! A certificate chain and the key that fits it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::expiry;

/// Where a certificate is.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// PEM: the certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Why a pair of files is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate cannot be read.
    #[error("the certificate's file cannot be read ({0})")]
    ReadCertificate(io::ErrorKind),
    /// The key cannot be read.
    #[error("the key's file cannot be read ({0})")]
    ReadKey(io::ErrorKind),
    /// The file holds no certificate, or a broken one.
    #[error("the certificate's file does not hold PEM certificates")]
    Certificate,
    /// The file holds no key, or one that no TLS uses.
    #[error("the key's file does not hold a PEM private key that TLS can use")]
    Key,
    /// They do not belong together.
    #[error("the key does not fit the certificate")]
    Mismatch,
}

/// A certificate chain and the key that fits it.
pub(super) struct CertifiedPair {
    certified: Arc<CertifiedKey>,
    expires: Duration,
}

impl CertifiedPair {
    /// Reads both files. Where the certificate was replaced meanwhile, the key may be of the new one: then both are
    /// read once more.
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let (chain, key) = (read_chain(&files.certificate)?, read_key(&files.key)?);
        if read_chain(&files.certificate)? == chain {
            return Self::new(chain, key);
        }
        Self::new(read_chain(&files.certificate)?, read_key(&files.key)?)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let expires = chain
            .first()
            .and_then(|certificate| expiry::expires(certificate))
            .ok_or(CertificateError::Certificate)?;
        let provider = crypto::aws_lc_rs::default_provider();
        let certified =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
                rustls::Error::InvalidCertificate(_) => CertificateError::Certificate,
                _ => CertificateError::Key,
            })?;
        Ok(Self {
            certified: Arc::new(certified),
            expires,
        })
    }

    /// The same certificates have the same key, or the other one does not fit.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    pub(super) fn expires(&self) -> Duration {
        self.expires
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem =
        std::fs::read(path).map_err(|error| CertificateError::ReadCertificate(error.kind()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(CertificateError::Certificate),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let pem = std::fs::read(path).map_err(|error| CertificateError::ReadKey(error.kind()))?;
    let pem = zeroize::Zeroizing::new(pem);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| CertificateError::Key)
}
