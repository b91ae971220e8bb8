//! One broker with everything around it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use axum::{Router, body::Body};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use hubkey_domain::{
    clock::{Clock, TestClock},
    provider::{ConnectionScope, IdentityPolicy, ProviderConfig},
    random::RandomSource,
    refresh_state::RefreshTimes,
    user_index::OpenLimits,
};
use hubkey_fakes::{
    hostile_provider::{Client, Endpoint, HostileProvider},
    scripted_hub::{HubClient, ScriptedHub},
};
use hubkey_protocol::{internal::SiteInfo, secret::ClientSecret, secret::SharedSecret};
use hubkey_store::keys::{KeyRing, LookupMacKey};
use hubkey_store::{Store, memory::MemoryStore, sealed::SealedStore};
use hubkey_token_broker::{
    hub::{
        browser::HubBrowserAuthenticator, config::HubConfig, http::HubApi,
        kernel::HubKernelAuthenticator,
    },
    routes,
    system::{SystemClock, SystemRandom},
    use_cases::{Backends, Broker, Providers, Rules, SharedServers},
};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::{
    browser::TestBrowser,
    contract::Operation,
    kernel::{Connected, TestKernel},
    probe::Probe,
    registration::provider_config,
};

/// Where browsers would find callback-server.
pub(crate) const PUBLIC_URL: &str = "https://hubkey.example.org";
/// What callback-server proves itself with.
pub(crate) const SHARED_SECRET: &str = "shared-secret-of-the-tests-0123456789";
pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-tests";
pub(crate) const CLIENT_SECRET: &str = "client-secret-of-the-tests";
/// The longest that a broker of the tests waits for another one of them without looking.
const REFRESH_SAFETY: Duration = Duration::from_millis(100);

/// Opens a store for a world with this clock and this key.
pub(crate) type OpenStore = Box<dyn FnOnce(Arc<dyn Clock>, &LookupMacKey) -> Arc<dyn Store>>;

/// How a world differs from the usual one.
pub(crate) struct WorldOptions {
    pub(crate) account_policy: IdentityPolicy,
    pub(crate) connection_scope: ConnectionScope,
    /// What else a test configures at its providers.
    pub(crate) adjust: fn(&mut ProviderConfig),
    pub(crate) shared_origin: bool,
    pub(crate) shared_servers: SharedServers,
    pub(crate) open: OpenLimits,
    pub(crate) poll_timeout: Duration,
    pub(crate) poll_recheck_interval: Duration,
    pub(crate) renewal: RefreshTimes,
    /// Ids of the providers; all of them are registrations at the same provider.
    pub(crate) providers: Vec<&'static str>,
    /// Ids of more providers, at another issuer.
    pub(crate) elsewhere: Vec<&'static str>,
    /// In place of the memory store; sealed by the world.
    pub(crate) store: Option<OpenStore>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            account_policy: IdentityPolicy::Confirm,
            connection_scope: ConnectionScope::Server,
            adjust: |_| {},
            shared_origin: false,
            shared_servers: SharedServers::Warn,
            open: OpenLimits {
                open: 10,
                per_minute: 30,
            },
            poll_timeout: Duration::from_millis(300),
            poll_recheck_interval: Duration::from_millis(100),
            renewal: RefreshTimes::default(),
            providers: vec!["lab-api"],
            elsewhere: Vec::new(),
            store: None,
        }
    }
}

/// A broker, its Hub and its provider.
pub(crate) struct World {
    pub(crate) hub: ScriptedHub,
    pub(crate) provider: HostileProvider,
    /// The other issuer, where there is one.
    pub(crate) other: Option<HostileProvider>,
    /// What browsers were answered, as it was sent to callback-server.
    pub(crate) internal_answers: Mutex<Vec<String>>,
    pub(crate) clock: Arc<TestClock>,
    /// Around the store: counts, and fails on demand.
    pub(crate) probe: Arc<Probe>,
    pub(crate) backends: Backends,
    pub(crate) broker: Broker,
    pub(crate) kernel_api: Router,
    pub(crate) internal_api: Router,
    /// What a person does who is told to try again later.
    pub(crate) on_outage: OnceLock<OnOutage>,
}

/// Waits until it is worth trying again.
pub(crate) type OnOutage = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

impl World {
    /// Steps of browsers that are told to come again do so, after this.
    pub(crate) fn on_outage(
        &self,
        wait: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) {
        assert!(self.on_outage.set(Box::new(wait)).is_ok(), "set once");
    }

    /// The usual world: one provider, accounts are linked, own host, memory store.
    pub(crate) async fn new() -> Self {
        Self::with(WorldOptions::default()).await
    }

    pub(crate) async fn with(options: WorldOptions) -> Self {
        hubkey_service::lifecycle::install_crypto_provider();
        let hub = ScriptedHub::start().await.expect("the scripted Hub starts");
        let redirect_uri = format!("{PUBLIC_URL}/oauth_callback");
        hub.register(HubClient::hubkey(SERVICE_TOKEN, &redirect_uri));
        let provider = start_provider().await;
        let other = start_elsewhere(&options).await;
        let clock = Arc::new(TestClock::at(SystemClock.now()));
        let lookup_mac_key = LookupMacKey::new(&[7; 32]);
        let rules = rules(&hub, &options);
        let here = options.providers.iter().map(|id| (&provider, *id));
        let there = options.elsewhere.iter().zip(&other);
        let places: Vec<_> = here.chain(there.map(|(id, other)| (other, *id))).collect();
        let providers = providers(&places, &options, &clock);
        let probe = Arc::new(Probe::new(open_store(
            options.store,
            &clock,
            &lookup_mac_key,
        )));
        let (kernels, browsers) = authenticators(&hub, redirect_uri, &lookup_mac_key, &clock);
        let backends = Backends {
            store: probe.clone(),
            kernels,
            browsers,
            providers: Arc::new(providers),
            clock: clock.clone(),
            chance: Arc::new(SystemRandom),
            lookup_mac_key,
            rules: Arc::new(rules),
            polls: Arc::new(Semaphore::new(256)),
            stopping: CancellationToken::new(),
        };
        let broker = Broker::new(backends.clone());
        Self {
            kernel_api: routes::kernel(broker.clone()),
            internal_api: routes::internal(broker.clone(), vec![SharedSecret::new(SHARED_SECRET)]),
            hub,
            provider,
            other,
            internal_answers: Mutex::default(),
            clock,
            probe,
            backends,
            broker,
            on_outage: OnceLock::new(),
        }
    }

    /// The kernel API of a second replica: same store, Hub and providers, nothing else in common.
    pub(crate) fn replica(&self) -> Router {
        self.replica_with(Arc::clone(&self.backends.store))
    }

    /// As [`Self::replica`], with a way of its own to the store.
    pub(crate) fn replica_with(&self, store: Arc<dyn Store>) -> Router {
        routes::kernel(Broker::new(Backends {
            store,
            polls: Arc::new(Semaphore::new(256)),
            stopping: CancellationToken::new(),
            ..self.backends.clone()
        }))
    }

    /// The kernel API of the usual world after a restart: same store and Hub; what was known of the provider is forgotten.
    pub(crate) fn restarted(&self) -> Router {
        let usual = WorldOptions::default();
        let places = [(&self.provider, usual.providers[0])];
        routes::kernel(Broker::new(Backends {
            providers: Arc::new(providers(&places, &usual, &self.clock)),
            polls: Arc::new(Semaphore::new(256)),
            stopping: CancellationToken::new(),
            ..self.backends.clone()
        }))
    }

    /// A whole sign-in of this kernel at `lab-api`, up to the acknowledgement.
    pub(crate) async fn connect(&self, kernel: &TestKernel, user: &str) -> Connected {
        let sign_in = kernel.open().await;
        let reply = self.browser(user).sign_in(&sign_in).await;
        assert_eq!(reply.kind(), "view", "{reply:?}");
        kernel.collect(&sign_in).await
    }

    /// What a refused request must leave as it is: the store, and the provider's token endpoint.
    pub(crate) fn traces(&self) -> Traces {
        Traces {
            commits: self.probe.commits(),
            redeemed: self.provider.hits(Endpoint::Token),
        }
    }

    /// A kernel of this user's server with a fresh server token.
    pub(crate) fn kernel(&self, user: &str, server: &str) -> TestKernel {
        TestKernel::new(self.kernel_api.clone(), self.hub.server_token(user, server))
    }

    /// A kernel API client with any token.
    pub(crate) fn kernel_with(&self, token: &str) -> TestKernel {
        TestKernel::new(self.kernel_api.clone(), token.to_owned())
    }

    /// A browser in which this user is logged in at the Hub.
    pub(crate) fn browser(&self, user: &str) -> TestBrowser<'_> {
        TestBrowser::new(self, user)
    }
}

/// How often something was written, and how often a code was redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traces {
    pub(crate) commits: usize,
    pub(crate) redeemed: usize,
}

/// An answer of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The body as text, to look for what must not be in it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Asserts a problem document with this status and word, and a `Retry-After` exactly where one is due.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: StatusCode, code: &str) {
        let problem = self.json();
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{problem}"
        );
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        for sentence in ["title", "detail"] {
            let text = problem[sentence].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{sentence}: {text}");
        }
        let transient = matches!(status.as_u16(), 429 | 503);
        let seconds = self.headers.get(header::RETRY_AFTER);
        assert_eq!(seconds.is_some(), transient, "{problem}");
        let seconds = seconds.map(|text| text.to_str().expect("ASCII").to_owned());
        let repeated = problem["retry_after"]
            .as_u64()
            .map(|seconds| seconds.to_string());
        assert_eq!(seconds, repeated);
    }

    /// The stable word of a problem document.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request through a router.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let operation = Operation::of(&request);
    let response = tower::ServiceExt::oneshot(router.clone(), request)
        .await
        .expect("routers do not fail");
    let (parts, body) = response.into_parts();
    let bytes = body
        .collect()
        .await
        .expect("the body is whole")
        .to_bytes()
        .to_vec();
    let answer = Answer {
        status: parts.status,
        headers: parts.headers,
        bytes,
    };
    operation.assert_documented(&answer);
    answer
}

/// A POST as callback-server sends it.
pub(crate) fn internal_request(path: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {SHARED_SECRET}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request")
}

fn open_store(
    store: Option<OpenStore>,
    clock: &Arc<TestClock>,
    lookup_mac_key: &LookupMacKey,
) -> Arc<dyn Store> {
    if let Some(open) = store {
        return open(clock.clone(), lookup_mac_key);
    }
    let ring = KeyRing::from_keys(&[[9; 32]], lookup_mac_key).expect("a key ring");
    Arc::new(SealedStore::new(
        MemoryStore::new(clock.clone()),
        Arc::new(ring),
        clock.clone(),
    ))
}

fn authenticators(
    hub: &ScriptedHub,
    redirect_uri: String,
    lookup_mac_key: &LookupMacKey,
    clock: &Arc<TestClock>,
) -> (Arc<HubKernelAuthenticator>, Arc<HubBrowserAuthenticator>) {
    let config = hub_config(hub, redirect_uri);
    let api = Arc::new(HubApi::new(&config).expect("the Hub client is made"));
    let kernels = HubKernelAuthenticator::new(
        Arc::clone(&api),
        &config,
        lookup_mac_key.clone(),
        clock.clone(),
    );
    let browsers = HubBrowserAuthenticator::new(api, &config, clock.clone());
    (Arc::new(kernels), Arc::new(browsers))
}

fn hub_config(hub: &ScriptedHub, redirect_uri: String) -> HubConfig {
    HubConfig {
        api_url: hub.api_url().parse().expect("a URL"),
        public_url: hub.url().parse().expect("a URL"),
        api_token: ClientSecret::new(SERVICE_TOKEN),
        service_name: "hubkey".to_owned(),
        client_id: "service-hubkey".to_owned(),
        redirect_uri,
        server_scope: "custom:hubkey:kernel".to_owned(),
        allow_plaintext: false,
        ca_pem: None,
    }
}

fn rules(hub: &ScriptedHub, options: &WorldOptions) -> Rules {
    let site = SiteInfo {
        hub_name: "hub.example.org".to_owned(),
        hub_url: hub.url(),
        accent_color: None,
        support_url: None,
        public_url: PUBLIC_URL.to_owned(),
        shared_origin: options.shared_origin,
        key_sets: BTreeMap::new(),
    };
    Rules {
        public_url: PUBLIC_URL.to_owned(),
        shared_origin: options.shared_origin,
        shared_servers: options.shared_servers,
        sign_in_lifetime: Duration::from_mins(10),
        connection_lifetime: Duration::from_hours(12),
        account_link_lifetime: Duration::from_hours(400 * 24),
        poll_timeout: options.poll_timeout,
        poll_recheck_interval: options.poll_recheck_interval,
        refresh_recheck_interval: options.poll_recheck_interval.min(REFRESH_SAFETY),
        renewal: options.renewal,
        redelivery: Duration::from_mins(2),
        open: options.open,
        site,
    }
}

async fn start_provider() -> HostileProvider {
    let provider = HostileProvider::start().await.expect("the provider starts");
    provider.register(Client::basic("hubkey", CLIENT_SECRET));
    provider
}

/// The other issuer, where there is one.
async fn start_elsewhere(options: &WorldOptions) -> Option<HostileProvider> {
    if options.elsewhere.is_empty() {
        return None;
    }
    Some(start_provider().await)
}

fn providers(
    places: &[(&HostileProvider, &str)],
    options: &WorldOptions,
    clock: &Arc<TestClock>,
) -> Providers {
    let chance: Arc<dyn RandomSource> = Arc::new(SystemRandom);
    let made = places.iter().map(|(provider, id)| {
        let mut config = provider_config(
            provider,
            id,
            options.account_policy.clone(),
            options.connection_scope,
        );
        (options.adjust)(&mut config);
        hubkey_oidc::open(config, clock.clone(), Arc::clone(&chance)).expect("a provider")
    });
    Providers::new(made.collect())
}
