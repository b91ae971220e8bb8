//! Runs scenarios on a backend.

use std::{sync::Arc, time::Duration};

use hubkey_domain::user_index::OpenLimits;
use hubkey_starters::{process::RunFolder, redis::Redis};
use hubkey_store::keys::{KeyRing, LookupMacKey};
use hubkey_store::{
    Store,
    redis::{RedisSettings, RedisStore},
    sealed::SealedStore,
};
use hubkey_token_broker::system::SystemClock;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::runtime::{Builder, Runtime};

use crate::{
    actions::{Action, actions},
    ledger::Invariant,
    rotation::{run_all, run_each},
    scenario::Scenario,
    support::world::{World, WorldOptions},
};

/// So many scenarios, the same ones each time, unless `PROPTEST_CASES` asks for another number, which are new ones.
const CASES: u32 = 16;

/// So many schedules of refreshes.
const SCHEDULES: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Redis,
}

/// Runs random scenarios until one violates the invariant or there were enough.
pub(crate) fn explore(backend: Backend, invariant: Invariant) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let redis = (backend == Backend::Redis).then(|| runtime.block_on(start_redis()));
    let redis = redis.as_ref().map(|(_, redis)| redis);
    let mut runner = TestRunner::new(config(invariant));
    let deliveries = std::cell::Cell::new(0);
    let result = runner.run(&actions(), |actions| {
        let delivered = run(&runtime, redis, invariant, &actions);
        deliveries.set(deliveries.get() + delivered);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{invariant:?}: {error}"));
    assert!(deliveries.get() > 0, "no scenario delivered anything");
}

/// Runs one scenario on memory, by each invariant.
pub(crate) fn run_one(actions: &[Action]) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for invariant in Invariant::ALL {
        let delivered = run(&runtime, None, invariant, actions);
        assert!(delivered > 0, "{invariant:?}: nothing was delivered");
    }
}

/// Plays seeded schedules of refreshes: a thousand unless `PROPTEST_CASES` asks for another number, from seed 0 unless
/// `SOAK_SEED` names another, as `cargo xtask soak` does.
pub(crate) fn rotate(backend: Backend) {
    let seeds = match Config::default().cases {
        256 => SCHEDULES,
        cases => u64::from(cases),
    };
    let first = std::env::var_os("SOAK_SEED").map_or(0, |seed| {
        let seed = seed.to_str().and_then(|seed| seed.parse().ok());
        seed.expect("SOAK_SEED is a number")
    });
    let seeds = first..first + seeds;
    if backend == Backend::Memory {
        return run_each(seeds);
    }
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lookup_mac_key = LookupMacKey::new(&[7; 32]);
        let (_run, redis) = start_redis().await;
        let store = RedisStore::open(RedisSettings::new(redis.url()), lookup_mac_key.clone());
        run_all(sealed(store.await.unwrap(), &lookup_mac_key), seeds).await;
    });
}

fn config(invariant: Invariant) -> Config {
    let asked = Config::default();
    // 256 is proptest's own default: nobody asked for a number.
    let usual = asked.cases == 256;
    Config {
        cases: if usual { CASES } else { asked.cases },
        rng_seed: if usual {
            RngSeed::Fixed(invariant as u64)
        } else {
            asked.rng_seed
        },
        max_shrink_iters: 60,
        failure_persistence: None,
        ..asked
    }
}

async fn start_redis() -> (RunFolder, Redis) {
    let run = RunFolder::create("invariants").unwrap();
    let redis = Redis::start(&run).await.unwrap();
    (run, redis)
}

fn run(
    runtime: &Runtime,
    redis: Option<&Redis>,
    invariant: Invariant,
    actions: &[Action],
) -> usize {
    runtime.block_on(async {
        let world = World::with(options(redis).await).await;
        let mut scenario = Scenario::begin(&world, invariant);
        for action in actions {
            scenario.act(*action).await;
        }
        let stored = match redis {
            Some(redis) => everything_in(redis).await,
            None => Vec::new(),
        };
        scenario.end(&stored)
    })
}

async fn options(redis: Option<&Redis>) -> WorldOptions {
    let mut options = WorldOptions {
        poll_timeout: Duration::from_millis(1),
        poll_recheck_interval: Duration::from_millis(1),
        open: OpenLimits {
            open: 50,
            per_minute: 100,
        },
        ..WorldOptions::default()
    };
    if let Some(redis) = redis {
        let mut connection = redis.connect().await.unwrap();
        let flush = redis::cmd("FLUSHALL");
        let () = flush.query_async(&mut connection).await.unwrap();
        let settings = RedisSettings::new(redis.url());
        // The key that every world has.
        let store = RedisStore::open(settings, LookupMacKey::new(&[7; 32]));
        let store = store.await.unwrap();
        options.store = Some(Box::new(move |_, lookup_mac_key| {
            sealed(store, lookup_mac_key)
        }));
    }
    options
}

/// Records end by Redis' own time, which no test moves; what is sealed in them goes by the same time.
fn sealed(store: RedisStore, lookup_mac_key: &LookupMacKey) -> Arc<dyn Store> {
    let ring = KeyRing::from_keys(&[[9; 32]], lookup_mac_key).unwrap();
    Arc::new(SealedStore::new(
        store,
        Arc::new(ring),
        Arc::new(SystemClock),
    ))
}

/// Names and values of all that the Redis holds.
async fn everything_in(redis: &Redis) -> Vec<Vec<u8>> {
    let mut connection = redis.connect().await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut found = Vec::new();
    for key in keys {
        let fields: Vec<Vec<u8>> = redis::cmd("HGETALL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        found.push(key);
        found.extend(fields);
    }
    found
}
