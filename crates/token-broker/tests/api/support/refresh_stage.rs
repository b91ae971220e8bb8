//! A kernel with a connection, and what its provider saw of the refresh token.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use http::StatusCode;
use hubkey_fakes::hostile_provider::{Endpoint, HostileProvider};
use hubkey_protocol::ConnectionId;
use hubkey_starters::{process::RunFolder, redis::Redis};
use hubkey_store::keys::{KeyRing, LookupMacKey};
use hubkey_store::{
    Key, Store,
    redis::{RedisSettings, RedisStore},
    sealed::SealedStore,
};
use hubkey_token_broker::system::SystemClock;

use crate::support::{
    kernel::{Connected, TestKernel},
    world::{Answer, World, WorldOptions},
};

/// The provider's tokens live for five minutes; after this they are due.
pub(crate) const DUE: Duration = Duration::from_secs(270);
/// After this they have ended.
pub(crate) const ENDED: Duration = Duration::from_secs(301);
/// From due to ended.
pub(crate) const DUE_TO_ENDED: Duration = Duration::from_secs(31);
/// After this a lease has ended.
pub(crate) const LEASE: Duration = Duration::from_secs(31);

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) kernel: TestKernel,
    pub(crate) connection: Connected,
    /// How far the test's clock is ahead of the provider's.
    ahead: Arc<AtomicI64>,
    _redis: Option<(Redis, RunFolder)>,
}

impl Stage {
    /// Alice is connected.
    pub(crate) async fn new() -> Self {
        Self::of(World::new().await, None).await
    }

    pub(crate) async fn with(options: WorldOptions) -> Self {
        Self::of(World::with(options).await, None).await
    }

    /// At a provider that is told how to be before anybody signs in.
    pub(crate) async fn at_provider(
        options: WorldOptions,
        prepare: impl FnOnce(&HostileProvider),
    ) -> Self {
        let world = World::with(options).await;
        prepare(&world.provider);
        Self::of(world, None).await
    }

    /// On a real Redis, sealed.
    pub(crate) async fn on_redis() -> Self {
        let run = RunFolder::create("refresh").unwrap();
        let redis = Redis::start(&run).await.unwrap();
        let store = open(RedisSettings::new(redis.url())).await;
        let options = WorldOptions {
            store: Some(Box::new(move |_, _| store)),
            ..WorldOptions::default()
        };
        Self::of(World::with(options).await, Some((redis, run))).await
    }

    /// On any store, sealed.
    pub(crate) async fn on(store: Arc<dyn Store>) -> Self {
        Self::with(WorldOptions {
            store: Some(Box::new(move |_, _| store)),
            ..WorldOptions::default()
        })
        .await
    }

    async fn of(world: World, redis: Option<(Redis, RunFolder)>) -> Self {
        let kernel = world.kernel("alice", "");
        let connection = world.connect(&kernel, "alice").await;
        let stage = Self {
            world,
            kernel,
            connection,
            ahead: Arc::default(),
            _redis: redis,
        };
        stage.keep_time();
        stage
    }

    /// Lets the provider's ID tokens go by the test's clock. The time of the sign-in stays.
    fn keep_time(&self) {
        let ahead = Arc::clone(&self.ahead);
        self.world.provider.id_tokens(move |token| {
            for claim in ["iat", "exp"] {
                token.shift(claim, ahead.load(Ordering::SeqCst));
            }
        });
    }

    /// The provider lies no more.
    pub(crate) fn be_honest(&self) {
        self.world.provider.be_honest();
        self.keep_time();
    }

    pub(crate) async fn get_token(&self, min_valid: u64) -> Answer {
        self.kernel.get_token(&self.connection.id, min_valid).await
    }

    /// A token; the test ends where there is none.
    pub(crate) async fn token(&self, min_valid: u64) -> String {
        token(&self.get_token(min_valid).await)
    }

    /// The same kernel at another replica.
    pub(crate) fn at(&self, replica: Router) -> TestKernel {
        TestKernel::new(replica, self.kernel.token.clone())
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.world.clock.advance(time);
        let seconds = i64::try_from(time.as_secs()).unwrap();
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The broker's clock jumps; the provider's does not, and no ID token says so.
    pub(crate) fn jump(&self, jump: Jump) {
        self.world.provider.token_responses(|answer| {
            answer.as_object_mut().unwrap().remove("id_token");
        });
        match jump {
            Jump::Ahead(time) => self.world.clock.advance(time),
            Jump::Back(time) => self.world.clock.set_back(time),
        }
    }

    /// Whether the connection is in the store with this access token.
    pub(crate) async fn stored(&self, token: &str) -> bool {
        let id = ConnectionId::parse(&self.connection.id).unwrap();
        let store = self.world.probe.inner();
        let record = store.read(&[Key::connection(&id)]).await.unwrap();
        let value = record[0].as_ref().map(|record| record.value.to_vec());
        String::from_utf8(value.unwrap_or_default()).is_ok_and(|text| text.contains(token))
    }

    /// How often each refresh token came to the provider.
    pub(crate) fn uses(&self) -> BTreeMap<String, usize> {
        let mut uses = BTreeMap::new();
        for request in self.world.provider.requests(Endpoint::Token) {
            let token = request.form_value("refresh_token");
            // One that never was asks whether there is anybody.
            if let Some(token) = token.filter(|token| !token.starts_with("hubkey-probe")) {
                *uses.entry(token).or_default() += 1;
            }
        }
        uses
    }

    /// How many refreshes were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.uses().values().sum()
    }

    /// Until the provider was asked so often.
    pub(crate) async fn until_asked(&self, times: usize) {
        for _ in 0..400 {
            if self.asked() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the provider was asked {} times, not {times}", self.asked());
    }
}

/// What happens to a clock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Jump {
    Ahead(Duration),
    Back(Duration),
}

/// The token of an answer.
#[track_caller]
pub(crate) fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// With the lookup MAC key and the encryption key of every world.
pub(crate) async fn open(settings: RedisSettings) -> Arc<dyn Store> {
    let lookup_mac_key = LookupMacKey::new(&[7; 32]);
    let ring = KeyRing::from_keys(&[[9; 32]], &lookup_mac_key).unwrap();
    let store = RedisStore::open(settings, lookup_mac_key).await;
    // Records end by Redis' own time, which no test moves; what is sealed in them goes by the same time.
    Arc::new(SealedStore::new(
        store.unwrap(),
        Arc::new(ring),
        Arc::new(SystemClock),
    ))
}
