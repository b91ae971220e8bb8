//! Certificates of authorities that only one test trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// An authority. Whoever trusts [`Authority::pem`] trusts what it has signed.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate with its key, as PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The two files of a [`Pair`].
#[derive(Debug, Clone)]
pub struct PairFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority, valid for as long as a test runs and longer.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(issuer))
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for these host names and addresses.
    pub fn issue(&self, names: &[&str]) -> anyhow::Result<Pair> {
        self.issue_until(names, 2050)
    }

    /// Signs one that ends with the first day of a year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> anyhow::Result<Pair> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Pair {
    /// What a TLS server is made of that proves itself with this.
    pub fn server_config(&self) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(config)
    }

    /// Writes both files, in place of those that are there.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PairFiles> {
        let files = PairFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        std::fs::write(&files.certificate, &self.certificate)?;
        std::fs::write(&files.key, &self.key)?;
        Ok(files)
    }
}

/// Makes an authority and a certificate of this machine: `ca.pem`, `tls.crt` and `tls.key` in a folder.
pub fn write_for_loopback(folder: &Path, name: &str) -> anyhow::Result<()> {
    let authority = Authority::new(name)?;
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    authority.issue(&["127.0.0.1"])?.write(folder)?;
    Ok(())
}
