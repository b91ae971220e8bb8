//! The certificate that a listener serves with: read from files, read again while the process runs.
//!
//! Each new connection gets the certificate that is in use at that moment, and proves its key anew: sessions are never
//! resumed, so a key that was replaced is out of use at once. Connections that stand are not touched.

mod certified_pair;
mod expiry;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, crypto};

pub use certified_pair::{CertificateError, CertificateFiles};
pub use settings::{CertificateSetting, read_certificate};

use crate::reload;
use crate::telemetry::Metrics;
use certified_pair::CertifiedPair;

const NOT_AFTER: &str = "hubkey_tls_certificate_not_after_timestamp_seconds";
const RELOADS: &str = "hubkey_tls_certificate_reloads_total";

/// A certificate with its key, as the files hold them.
pub struct ServingCertificate {
    files: CertificateFiles,
    pair: RwLock<Arc<CertifiedPair>>,
}

impl ServingCertificate {
    /// Reads the files and checks that they fit together.
    pub fn open(files: CertificateFiles) -> Result<Self, CertificateError> {
        let pair = RwLock::new(Arc::new(CertifiedPair::read(&files)?));
        Ok(Self { files, pair })
    }

    /// Reads the files again and says whether anything changed. After an error everything is as it was.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let pair = CertifiedPair::read(&self.files)?;
        let changed = !pair.is_same(&self.pair());
        if changed {
            *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
        }
        Ok(changed)
    }

    /// When the certificate ends, since 1970.
    #[must_use]
    pub fn expires(&self) -> Duration {
        self.pair().expires()
    }

    /// Measures the certificate under the name of its listener, and reads the files again and again for as long as it
    /// is polled.
    pub async fn keep_reloading(
        self: Arc<Self>,
        metrics: Metrics,
        listener: &'static str,
        every: Duration,
    ) {
        describe(&metrics);
        let expiry = metrics.gauge(NOT_AFTER, &[("listener", listener)]);
        let counter =
            |outcome| metrics.counter(RELOADS, &[("listener", listener), ("outcome", outcome)]);
        let (changes, failures) = (counter("ok"), counter("failed"));
        // A series that is there from the first scrape on can be alerted on.
        failures.increment(0);
        expiry.set(self.expires().as_secs_f64());
        let reload = move || {
            let reloaded = self.reload();
            match &reloaded {
                Ok(true) => changes.increment(1),
                Ok(false) => {}
                Err(_) => failures.increment(1),
            }
            expiry.set(self.expires().as_secs_f64());
            reloaded.map(|changed| changed.then(|| format!("ends {}", self.expires().as_secs())))
        };
        reload::keep_reloading("certificate", every, reload).await;
    }

    /// TLS 1.2 and 1.3 with this certificate, for HTTP/1.1 and nothing else.
    pub(crate) fn server_config(self: Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// The pair is whole at any time, so a panic elsewhere does not spoil it.
    fn pair(&self) -> Arc<CertifiedPair> {
        Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair().certified())
    }
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServingCertificate")
            .field("expires", &self.expires())
            .finish_non_exhaustive()
    }
}

fn describe(metrics: &Metrics) {
    metrics.describe(
        NOT_AFTER,
        "When the certificate in use ends, in seconds since 1970, by listener.",
    );
    metrics.describe(
        RELOADS,
        "Changes of a certificate's files while the process ran, by listener and outcome.",
    );
}
