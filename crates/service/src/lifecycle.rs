//! How a server starts, leaves, and what it installs first.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ops::Readiness;

/// Makes aws-lc the process's only provider of cryptography for TLS. Call it first in every `main` and test harness:
/// without it, the first TLS connection panics as soon as some dependency brings another provider along.
pub fn install_crypto_provider() {
    // It fails only if one is installed already, as in the second test of one process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The end of a process, told to all its parts in turn.
#[derive(Debug)]
pub struct Lifecycle {
    readiness: Readiness,
    drain: CancellationToken,
    delay: Duration,
}

impl Lifecycle {
    /// A life that ends some `delay` after readiness failed: the time that load balancers need to notice.
    #[must_use]
    pub fn new(readiness: Readiness, delay: Duration) -> Self {
        Self {
            readiness,
            drain: CancellationToken::new(),
            delay,
        }
    }

    /// Cancelled when listeners are to stop accepting, and long polls to answer.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Runs the listeners until SIGTERM or SIGINT, or until one of them ends by itself; then readiness fails, the
    /// delay passes, and the others drain. The ops listener should outlive this call, so that it can tell.
    pub async fn run(self, listeners: JoinSet<()>) -> io::Result<()> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let asked = async move {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        self.run_until(asked, listeners).await;
        Ok(())
    }

    pub(crate) async fn run_until(
        self,
        asked: impl Future<Output = &'static str>,
        mut listeners: JoinSet<()>,
    ) {
        let reason = tokio::select! {
            reason = asked => reason,
            _ = listeners.join_next() => "a listener ended",
        };
        tracing::info!(reason, "shutdown begins; this replica is no longer ready");
        self.readiness.leave();
        tokio::time::sleep(self.delay).await;
        self.drain.cancel();
        while listeners.join_next().await.is_some() {}
        tracing::info!("all listeners are closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crypto_provider_is_installed_and_may_be_installed_twice() {
        install_crypto_provider();
        install_crypto_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }

    #[tokio::test]
    async fn listeners_drain_after_readiness_failed() {
        let readiness = Readiness::new();
        let life = Lifecycle::new(readiness.clone(), Duration::from_millis(50));
        let draining = life.draining();
        let mut listeners = JoinSet::new();
        let seen = readiness.clone();
        listeners.spawn(async move {
            draining.cancelled().await;
            assert!(format!("{seen:?}").contains("leaving: true"));
        });
        life.run_until(async { "test" }, listeners).await;
    }

    #[tokio::test]
    async fn a_listener_that_ends_takes_the_others_along() {
        let life = Lifecycle::new(Readiness::new(), Duration::ZERO);
        let draining = life.draining();
        let mut listeners = JoinSet::new();
        listeners.spawn(async {});
        listeners.spawn(async move { draining.cancelled().await });
        life.run_until(std::future::pending(), listeners).await;
    }
}
