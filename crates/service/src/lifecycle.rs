//! How a server starts, leaves, and what it installs first.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ops::Readiness;

/// Makes aws-lc the process's only provider of cryptography for TLS. Call it first in every `main` and test harness:
/// without it, the first TLS connection panics as soon as some dependency brings another provider along.
pub fn install_crypto_provider() {
    // It fails only if one is installed already, as in the second test of one process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Lets the process open as many files as its hard limit says; gives the limit, `None` where there is none.
///
/// Service managers and container runtimes start programs with a soft limit of 1,024, for the sake of programs that use
/// `select`. Each connection is a file: with that limit the first thousand idle ones would keep all others out.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// The end of a process, announced to all its parts in turn.
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
    /// delay passes, and the others drain. A second signal closes everything at once. The ops listener should outlive
    /// this call, so that it can tell.
    pub async fn run(self, listeners: JoinSet<()>) -> io::Result<()> {
        let mut signals = Signals::new()?;
        let (ask, asked) = oneshot::channel();
        let asked = async {
            match asked.await {
                Ok(name) => name,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.run_until(asked, listeners) => {}
            () = signals.twice(ask) => tracing::warn!("asked twice; closing everything at once"),
        }
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
        self.readiness.begin_shutdown();
        tokio::time::sleep(self.delay).await;
        self.drain.cancel();
        while listeners.join_next().await.is_some() {}
        tracing::info!("all listeners are closed");
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Passes the first signal on and returns at the second.
    async fn twice(&mut self, ask: oneshot::Sender<&'static str>) {
        let first = self.next().await;
        // Nobody listens any more if a listener ended by itself: then shutdown has begun already.
        let _ = ask.send(first);
        self.next().await;
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Sends this process SIGTERM until the task ends.
    async fn terminate_until_done(task: tokio::task::JoinHandle<io::Result<()>>) {
        let pid = std::process::id().to_string();
        for _ in 0..200 {
            let sent = Command::new("kill").args(["-TERM", &pid]).status();
            assert!(sent.expect("the command `kill` is there").success());
            tokio::time::sleep(Duration::from_millis(50)).await;
            if task.is_finished() {
                return task.await.unwrap().unwrap();
            }
        }
        panic!("SIGTERM was not heard");
    }

    #[tokio::test]
    async fn sigterm_fails_readiness_and_a_second_one_does_not_wait() {
        // From here on the signal no longer ends the process by itself.
        let _handled = signal(SignalKind::terminate()).unwrap();
        let readiness = Readiness::new();
        let life = Lifecycle::new(readiness.clone(), Duration::ZERO);
        let mut listeners = JoinSet::new();
        listeners.spawn(std::future::pending());
        terminate_until_done(tokio::spawn(life.run(listeners))).await;
        assert!(format!("{readiness:?}").contains("shutting_down: true"));
    }

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
            assert!(format!("{seen:?}").contains("shutting_down: true"));
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
