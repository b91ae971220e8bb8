//! The only place where traits meet backends: settings become running listeners.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use axum::Router;
use hubkey_domain::{clock::Clock, provider::ProviderConfig, random::RandomSource};
use hubkey_oidc::IdentityProvider;
use hubkey_protocol::ErrorCode;
use hubkey_service::{
    http::{Server, listen},
    lifecycle::Lifecycle,
    ops::{self, Readiness},
    reload,
    telemetry::Metrics,
};
use hubkey_store::keys::{KeyRing, KeyRingError, LookupMacKey};
use hubkey_store::{
    Store,
    memory::MemoryStore,
    redis::{RedisSettings, RedisStore},
    sealed::SealedStore,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    hub::{
        browser::HubBrowserAuthenticator, config::HubConfig, http::HubApi,
        kernel::HubKernelAuthenticator,
    },
    instruments, routes,
    settings::{InternalSettings, KernelSettings, KeyFiles, Settings},
    system::{SystemClock, SystemRandom},
    use_cases::{Backends, Broker, Providers, Rules},
};

/// How long refreshes may still take when the process is to end: as long as a provider may.
const FINISH: Duration = Duration::from_secs(10);
/// How long load balancers get to notice that readiness failed.
const DRAIN_DELAY: Duration = Duration::from_millis(500);

/// Runs the broker until it is told to end.
pub async fn run(mut settings: Settings) -> anyhow::Result<()> {
    warn_of_plaintext(&settings.kernel, &settings.internal);
    let metrics = start_metrics()?;
    let readiness = Readiness::new();
    let starting = readiness.hold();
    let life = Lifecycle::new(readiness.clone(), DRAIN_DELAY);
    let listeners = Listeners::bind(&settings)?;
    let ops_end = CancellationToken::new();
    let ops = ops::serve(
        listeners.ops,
        readiness.clone(),
        metrics.clone(),
        ops_end.clone(),
    );
    let ops = tokio::spawn(ops);
    let parts = Parts::new(settings.keys, settings.redis).await?;
    watch_store(&readiness, &parts.store);
    let kernel_server = kernel_server(&mut settings.kernel, &metrics)?;
    let plan = Plan {
        hub: settings.hub,
        rules: settings.rules,
        providers: settings.providers,
        polls: settings.kernel.polls,
        stopping: life.draining(),
    };
    let broker = Broker::new(backends(parts, plan)?);
    let kernel = routes::kernel(broker.clone());
    let internal = routes::internal(broker.clone(), settings.internal.shared_secrets);
    let mut running = JoinSet::new();
    let mut serve = |server: Server, listener, router: Router| {
        running.spawn(server.serve(listener, router, life.draining()));
    };
    serve(kernel_server, listeners.kernel, kernel);
    let internal_server =
        Server::new("internal", settings.internal.limits, &metrics).following_traces();
    serve(internal_server, listeners.internal, internal);
    drop(starting);
    tracing::info!("ready");
    life.run(running).await?;
    broker.finish(FINISH).await;
    ops_end.cancel();
    Ok(ops.await?)
}

fn start_metrics() -> anyhow::Result<Metrics> {
    let metrics = Metrics::new(
        env!("CARGO_PKG_VERSION"),
        option_env!("HUBKEY_COMMIT").unwrap_or("unknown"),
    )?;
    instruments::describe(&metrics);
    metrics
        .install()
        .map_err(|_| anyhow!("the metrics were started twice"))?;
    Ok(metrics)
}

/// The kernel listener, and the task that reads its certificate again.
fn kernel_server(settings: &mut KernelSettings, metrics: &Metrics) -> anyhow::Result<Server> {
    let server = Server::new("kernel", settings.limits.clone(), metrics).continuing_traces();
    let Some(certificate) = settings.certificate.take().map(Arc::new) else {
        return Ok(server);
    };
    let reloading = Arc::clone(&certificate);
    tokio::spawn(reloading.keep_reloading(metrics.clone(), "kernel", reload::INTERVAL));
    server
        .encrypted(certificate)
        .context("`kernel.certificate_file` cannot be served with")
}

/// Each danger that the settings take is told at each start; the other channels tell their own.
fn warn_of_plaintext(kernel: &KernelSettings, internal: &InternalSettings) {
    if kernel.is_plaintext() {
        tracing::warn!(
            setting = "kernel.allow_plaintext",
            "server tokens and access tokens travel to kernels in clear: whoever can read that network can act as every \
             user"
        );
    }
    if internal.is_plaintext() {
        tracing::warn!(
            setting = "internal.allow_plaintext",
            "codes, tickets and the shared secret travel in clear: whoever can read that network can take sign-ins over"
        );
    }
}

/// What of the settings the use cases need.
struct Plan {
    hub: HubConfig,
    rules: Rules,
    providers: Vec<ProviderConfig>,
    polls: usize,
    stopping: CancellationToken,
}

fn backends(parts: Parts, plan: Plan) -> anyhow::Result<Backends> {
    let api = Arc::new(HubApi::new(&plan.hub)?);
    let clock = Arc::clone(&parts.clock);
    let browsers = HubBrowserAuthenticator::new(Arc::clone(&api), &plan.hub, Arc::clone(&clock));
    Ok(Backends {
        kernels: Arc::new(HubKernelAuthenticator::new(
            api,
            &plan.hub,
            parts.lookup_mac_key.clone(),
            clock,
        )),
        browsers: Arc::new(browsers),
        providers: Arc::new(providers(plan.providers, &parts)?),
        store: parts.store,
        clock: parts.clock,
        chance: parts.chance,
        lookup_mac_key: parts.lookup_mac_key,
        rules: Arc::new(plan.rules),
        polls: Arc::new(Semaphore::new(plan.polls)),
        stopping: plan.stopping,
    })
}

/// The three listeners. They are bound before anything else, so that a port that is taken is told at once.
struct Listeners {
    kernel: TcpListener,
    internal: TcpListener,
    ops: TcpListener,
}

impl Listeners {
    fn bind(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            kernel: listen("kernel.listen", settings.kernel.listen)?,
            internal: listen("internal.listen", settings.internal.listen)?,
            ops: listen("ops.listen", settings.ops.listen)?,
        })
    }
}

/// Backends.
struct Parts {
    store: Arc<dyn Store>,
    lookup_mac_key: LookupMacKey,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
}

impl Parts {
    async fn new(keys: Option<KeyFiles>, redis: Option<RedisSettings>) -> anyhow::Result<Self> {
        let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let (lookup_mac_key, ring) = open_keys(keys, chance.as_ref())?;
        let store = open_store(redis, &lookup_mac_key, ring, clock.clone()).await?;
        Ok(Self {
            store,
            lookup_mac_key,
            clock,
            chance,
        })
    }
}

/// The keys of the files; without files, keys that last as long as this process.
fn open_keys(
    keys: Option<KeyFiles>,
    chance: &dyn RandomSource,
) -> anyhow::Result<(LookupMacKey, Arc<KeyRing>)> {
    let Some(keys) = keys else {
        let (mut sealing, mut index) = ([0; 32], [0; 32]);
        chance.fill(&mut sealing);
        chance.fill(&mut index);
        let lookup_mac_key = LookupMacKey::new(&index);
        let ring = KeyRing::from_keys(&[sealing], &lookup_mac_key)?;
        return Ok((lookup_mac_key, Arc::new(ring)));
    };
    let lookup_mac_key =
        LookupMacKey::from_file(&keys.lookup_mac).context("`keys.lookup_mac_key_file`")?;
    let ring = Arc::new(
        KeyRing::open(keys.encryption, &lookup_mac_key).context("`keys.encryption_key_files`")?,
    );
    tokio::spawn(keep_reloading(Arc::clone(&ring), reload::INTERVAL));
    Ok((lookup_mac_key, ring))
}

/// Reads the files of the encryption keys again and again.
async fn keep_reloading(ring: Arc<KeyRing>, every: Duration) {
    let reload = move || {
        let changed = ring.reload()?;
        Ok::<_, KeyRingError>(changed.then(|| ring.active().id().to_string()))
    };
    reload::keep_reloading("encryption keys", every, reload).await;
}

async fn open_store(
    redis: Option<RedisSettings>,
    lookup_mac_key: &LookupMacKey,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Store>> {
    let Some(redis) = redis else {
        tracing::warn!(
            "no [redis] section: everything is kept in this process, and a restart forgets all of it"
        );
        return Ok(Arc::new(SealedStore::new(
            MemoryStore::new(Arc::clone(&clock)),
            ring,
            clock,
        )));
    };
    let store = RedisStore::open(redis, lookup_mac_key.clone()).await?;
    Ok(Arc::new(SealedStore::new(store, ring, clock)))
}

fn providers(configs: Vec<ProviderConfig>, parts: &Parts) -> anyhow::Result<Providers> {
    let mut providers: Vec<Arc<dyn IdentityProvider>> = Vec::new();
    for config in configs {
        let id = config.id.as_str().to_owned();
        let provider =
            hubkey_oidc::open(config, Arc::clone(&parts.clock), Arc::clone(&parts.chance))
                .with_context(|| format!("`providers.{id}` cannot be used"))?;
        providers.push(provider);
    }
    Ok(Providers::new(providers))
}

fn watch_store(readiness: &Readiness, store: &Arc<dyn Store>) {
    let store = Arc::clone(store);
    readiness.check("store", ErrorCode::StoreUnavailable, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.is_ok() }
    });
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hubkey_store::keys::generate;

    use super::*;

    #[tokio::test]
    async fn changed_keys_are_read_again_while_the_broker_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        generate(&path).unwrap();
        let index = LookupMacKey::new(&[1; 32]);
        let ring = Arc::new(KeyRing::open(vec![path.clone()], &index).unwrap());
        let first = ring.active().id();

        let reloading = tokio::spawn(keep_reloading(Arc::clone(&ring), Duration::from_millis(5)));
        fs::remove_file(&path).unwrap();
        generate(&path).unwrap();
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if ring.active().id() != first {
                reloading.abort();
                assert!(ring.find(first).is_none());
                return;
            }
        }
        panic!("the new key was not read");
    }
}
