//! From settings to running listeners.

use anyhow::Context;
use hubkey_broker_client::BrokerClient;
use hubkey_protocol::ErrorCode;
use hubkey_service::{
    CancellationToken,
    http::{Server, listen},
    lifecycle::Lifecycle,
    ops::{self, Readiness},
    telemetry::Metrics,
};
use time::OffsetDateTime;
use tokio::{task::JoinSet, time::Duration};

use crate::{
    app::{App, Parts},
    response, routes,
    settings::Settings,
    site::SiteWatcher,
};

/// How long load balancers get to notice that readiness failed.
const DRAIN_DELAY: Duration = Duration::from_millis(500);

/// Runs the server until it is asked to end.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let metrics = Metrics::new(
        env!("CARGO_PKG_VERSION"),
        option_env!("HUBKEY_COMMIT").unwrap_or("unknown"),
    )?;
    if settings.broker_is_plaintext() {
        tracing::warn!(
            setting = "broker.allow_plaintext",
            "codes, tickets and the shared secret travel in clear: whoever can read that network can take sign-ins over"
        );
    }
    if settings.limits.trusted_proxies.is_empty() {
        tracing::info!(
            setting = "trusted_proxies",
            "no proxy is trusted: browsers that come from private addresses are not limited by address"
        );
    }
    let public = listen("listen", settings.listen)?;
    let ops_listener = listen("ops.listen", settings.ops.listen)?;
    let (app, watcher) = App::new(Parts {
        broker: BrokerClient::new(&settings.broker, settings.shared_secret).context("`broker`")?,
        public_url: settings.public_url,
        now: OffsetDateTime::now_utc,
        limits: settings.limits.clone(),
    });
    let readiness = Readiness::new();
    watch_site(&readiness, &watcher);
    let ops_end = CancellationToken::new();
    let ops = tokio::spawn(ops::serve(
        ops_listener,
        readiness.clone(),
        metrics.clone(),
        ops_end.clone(),
    ));
    let watching = tokio::spawn(watcher.run());
    let life = Lifecycle::new(readiness, DRAIN_DELAY);
    let mut running = JoinSet::new();
    let server = Server::new("public", settings.limits, &metrics)
        .with_error_pages(response::error_pages(&app));
    running.spawn(server.serve(public, routes::router(&app), life.draining()));
    tracing::info!("serving");
    life.run(running).await?;
    watching.abort();
    ops_end.cancel();
    ops.await?;
    Ok(())
}

/// Not ready before the broker has said what the site is called, and while it does not answer.
fn watch_site(readiness: &Readiness, watcher: &SiteWatcher) {
    let site = watcher.subscribe();
    readiness.check("token-broker", ErrorCode::Overloaded, move || {
        let is_known = site.borrow().problem().is_none();
        async move { is_known }
    });
}
