//! Redis goes away and comes back.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use hubkey_starters::{process::RunFolder, redis::Redis};
use hubkey_store::{
    Change, Expect, Key, Store, StoreError,
    redis::{RedisSettings, RedisStore},
};
use tokio::time::{sleep, timeout};

use crate::{
    conformance::{connection, done, ends, put},
    subjects::fresh_index,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r14_a_dead_redis_answers_within_a_second_and_comes_back() {
    let (run, mut redis, store) = own("store-r14").await;
    let key = connection(0);
    done(&store, vec![put(&key, Expect::Absent, b"1")]).await;

    redis.stop();
    for _ in 0..2 {
        unavailable(store.read(std::slice::from_ref(&key))).await;
        unavailable(store.commit(vec![put(&key, Expect::Generation(1), b"2")])).await;
        unavailable(store.ping()).await;
    }
    redis.restart(&run).await.unwrap();
    until(async || store.ping().await.is_ok()).await;
    // A restarted Redis has forgotten the script; nobody notices.
    done(&store, vec![put(&connection(1), Expect::Absent, b"1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r14_a_silent_redis_answers_within_a_second() {
    let (_run, redis, store) = own("store-silent").await;
    let key = connection(0);
    done(&store, vec![put(&key, Expect::Absent, b"1")]).await;
    let mut connection = redis.connect().await.unwrap();
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(3000).arg("ALL");
    pause.exec_async(&mut connection).await.unwrap();
    unavailable(store.read(std::slice::from_ref(&key))).await;
    unavailable(store.ping()).await;
    let many = (0..200).map(|_| unavailable(store.read(std::slice::from_ref(&key))));
    join_all(many).await;
    until(async || store.ping().await.is_ok()).await;
    assert!(store.read(&[key]).await.unwrap()[0].is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q12_watches_survive_a_restart_of_redis() {
    let (run, mut redis, store) = own("store-q12").await;
    let key = connection(0);
    let before = store.watch(&key).await.unwrap();
    redis.stop();
    let during = store.watch(&key).await.unwrap();
    redis.restart(&run).await.unwrap();
    // What may have been missed is a reason to look again.
    ends(join_all([before, during])).await;

    let after = store.watch(&key).await.unwrap();
    until(async || store.ping().await.is_ok()).await;
    done(&store, vec![put(&key, Expect::Absent, b"1").waking()]).await;
    ends(after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q12_watches_survive_a_killed_subscription() {
    let (_run, redis, store) = own("store-q12-killed").await;
    let key = connection(0);
    let mut connection = redis.connect().await.unwrap();
    for _ in 0..3 {
        let watch = store.watch(&key).await.unwrap();
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("pubsub");
        let killed: u32 = kill.query_async(&mut connection).await.unwrap();
        assert_eq!(killed, 1);
        ends(watch).await;
    }
}

/// Ten thousand kernels wait on one replica: one connection, no task for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_q14_ten_thousand_watches_cost_one_connection() {
    let (_run, redis, store) = own("store-q14").await;
    let mut connection = redis.connect().await.unwrap();
    let keys: Vec<Key> = (0..10_000).map(numbered).collect();
    let mut watches = Vec::new();
    for key in &keys {
        watches.push(store.watch(key).await.unwrap());
    }
    let clients: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(clients.lines().count() <= 4, "{clients}");
    let waiting = tokio::spawn(join_all(watches));
    for keys in keys.chunks(100) {
        let wake = |key| done(&store, vec![put(key, Expect::Absent, b"1").waking()]);
        join_all(keys.iter().map(wake)).await;
    }
    ends(waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_the_replicas_that_are_required() {
    let (run, primary, _) = own("store-wait").await;
    let mut settings = RedisSettings::new(primary.url());
    settings.replicas_required = 1;
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(settings, fresh_index()).await.unwrap());
    let lonely = store.commit(vec![put(&connection(0), Expect::Absent, b"1")]);
    unavailable(lonely).await;

    let mut options = hubkey_starters::redis::RedisOptions::default();
    let password = primary.password().unwrap();
    options.extra = vec![
        format!("replicaof 127.0.0.1 {}", primary.port()),
        format!("masterauth {password}"),
        "repl-diskless-sync-delay 0".to_owned(),
    ];
    let _replica = Redis::start_with(&run, options).await.unwrap();
    until_written(&store, &connection(1)).await;
    let mut connection = primary.connect().await.unwrap();
    let before = waits(&mut connection).await;
    let keys: Vec<Key> = (0..100).map(numbered).collect();
    join_all(keys.iter().map(|key| until_written(&store, key))).await;
    let after = waits(&mut connection).await;
    assert!(
        (1..50).contains(&(after - before)),
        "one wait serves many: {before} to {after}"
    );
}

#[tokio::test]
async fn security_r15_a_full_redis_refuses_and_keeps_what_it_has() {
    let run = RunFolder::create("store-r15").unwrap();
    let redis = Redis::start(&run).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(
        RedisStore::open(RedisSettings::new(redis.url()), fresh_index())
            .await
            .unwrap(),
    );
    let [first, second, _] = crate::conformance::sign_in_keys();
    done(&store, vec![put(&first, Expect::Absent, b"1")]).await;
    let mut connection = redis.connect().await.unwrap();
    let mut full = redis::cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg(1);
    full.exec_async(&mut connection).await.unwrap();
    // The delete comes first in the commit, and must not happen without the put.
    let changes = vec![
        Change::delete(first.clone(), 1),
        put(&second, Expect::Absent, b"2"),
    ];
    unavailable(store.commit(changes)).await;
    let records = store.read(&[first.clone(), second]).await.unwrap();
    let there: Vec<_> = records.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false]);
    done(&store, vec![Change::delete(first, 1)]).await;
}

/// What is dropped ends: a store leaves no subscription behind.
#[tokio::test]
async fn a_dropped_store_leaves_no_connection() {
    let (_run, redis, store) = own("store-drop").await;
    store.ping().await.unwrap();
    let mut connection = redis.connect().await.unwrap();
    drop(store);
    until(async || {
        let clients: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query_async(&mut connection)
            .await
            .unwrap();
        clients.lines().count() == 1
    })
    .await;
}

async fn own(name: &str) -> (RunFolder, Redis, Arc<dyn Store>) {
    let run = RunFolder::create(name).unwrap();
    let redis = Redis::start(&run).await.unwrap();
    let settings = RedisSettings::new(redis.url());
    let store = RedisStore::open(settings, fresh_index()).await.unwrap();
    (run, redis, Arc::new(store))
}

/// Fails, and within the second that a kernel waits at most.
pub(crate) async fn unavailable<T: std::fmt::Debug>(
    operation: impl Future<Output = Result<T, StoreError>>,
) {
    let result = timeout(SECOND, operation)
        .await
        .expect("it answers within a second");
    assert!(
        matches!(result, Err(StoreError::Unavailable(_))),
        "{result:?}"
    );
}

pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if condition().await {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come true");
}

/// Writes again and again until it is said to be done; what happened to the attempts before, nobody knows.
pub(crate) async fn until_written(store: &Arc<dyn Store>, key: &Key) {
    until(async || {
        let expect = generation(store, key)
            .await
            .map_or(Expect::Absent, Expect::Generation);
        store.commit(vec![put(key, expect, b"1")]).await.is_ok()
    })
    .await;
}

/// How many times Redis was asked to `WAIT`.
async fn waits(connection: &mut redis::aio::MultiplexedConnection) -> u32 {
    let mut command = redis::cmd("INFO");
    let stats: String = command
        .arg("commandstats")
        .query_async(connection)
        .await
        .unwrap();
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_wait:calls="));
    let count = line.and_then(|line| line.split(',').next()).unwrap();
    count.parse().unwrap()
}

pub(crate) async fn generation(store: &Arc<dyn Store>, key: &Key) -> Option<u64> {
    let records = store.read(std::slice::from_ref(key)).await.unwrap();
    records[0].as_ref().map(|record| record.generation)
}

fn numbered(n: u32) -> Key {
    Key::owner("https://issuer.example", &n.to_string())
}
