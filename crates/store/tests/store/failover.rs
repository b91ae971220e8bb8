//! The master behind sentinels changes.

use std::{sync::Arc, time::Duration};

use hubkey_starters::redis::{
    USER,
    sentinels::{MASTER, SENTINEL_PASSWORD, Sentinels},
};
use hubkey_store::{
    Expect, Store,
    redis::{Address, RedisOpenError, RedisSettings, RedisStore, SentinelSettings, Topology},
};
use tokio::time::{Instant, timeout};

use crate::{
    conformance::{connection, done, ends, put},
    outages::{SECOND, generation, unavailable, until, until_written},
    subjects::fresh_index,
};

/// From the promotion of another master to the first answer of it: a back-off, a question, a connection.
const BOUND: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r13_the_store_follows_the_master_that_sentinels_name() {
    let mut group = Sentinels::start("store-r13").await.unwrap();
    let store = open(&settings(&group)).await.unwrap();
    let key = connection(0);
    done(&store, vec![put(&key, Expect::Absent, b"1")]).await;
    let before = store.watch(&key).await.unwrap();

    for sentinel_is_down in [false, true] {
        group.until_replicated().await.unwrap();
        if sentinel_is_down {
            group.stop_sentinel(0);
        }
        group.kill_master().unwrap();
        // Whatever it says, it says soon.
        let _ = timeout(SECOND, store.ping()).await.unwrap();
        group.until_promoted().await.unwrap();
        let promoted = Instant::now();
        until(async || store.ping().await.is_ok()).await;
        assert!(promoted.elapsed() < BOUND, "{:?}", promoted.elapsed());
        assert_eq!(generation(&store, &key).await, Some(1), "nothing is lost");
        if !sentinel_is_down {
            group.repair(0).await.unwrap();
        }
    }

    // What was published in between may have been missed, so whoever waited looks again.
    ends(before).await;
    let after = store.watch(&key).await.unwrap();
    done(
        &store,
        vec![put(&key, Expect::Generation(1), b"2").waking()],
    )
    .await;
    ends(after).await;
}

/// A master that is made a replica while it lives, as an operator does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r13_a_commit_counts_only_if_replicas_of_the_same_master_hold_it() {
    let mut group = Sentinels::start("store-r13-wait").await.unwrap();
    let mut settings = settings(&group);
    settings.replicas_required = 1;
    let store = open(&settings).await.unwrap();
    let key = connection(0);
    done(&store, vec![put(&key, Expect::Absent, b"1")]).await;
    group.cut_replication().await.unwrap();
    unavailable(store.commit(vec![put(&key, Expect::Generation(1), b"2")])).await;
    group.kill_master().unwrap();
    group.mend_replication().await.unwrap();
    group.until_promoted().await.unwrap();
    until(async || store.ping().await.is_ok()).await;
    assert_eq!(
        generation(&store, &key).await,
        Some(1),
        "what was promised is there, and what was not, was not"
    );
    until_written(&store, &connection(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r13_a_start_without_a_master_says_why() {
    let mut group = Sentinels::start("store-r13-start").await.unwrap();
    let mut unknown = settings(&group);
    let mut deaf = settings(&group);
    let mut wrong = settings(&group);
    sentinel(&mut unknown).master = "another".to_owned();
    sentinel(&mut deaf).addresses = vec![Address::parse("redis://127.0.0.1:1").unwrap()];
    sentinel(&mut wrong).password = Some("canary".to_owned().into());
    for (settings, reason) in [
        (unknown, "no sentinel knows a master"),
        (deaf, "no sentinel answers"),
        (wrong, "no sentinel answers"),
    ] {
        let refused = open(&settings).await;
        let Err(RedisOpenError::Unreachable(cause)) = refused else {
            panic!("{refused:?}");
        };
        assert!(cause.to_string().contains(reason), "{cause:?}");
        assert!(!format!("{cause:?}").contains("canary"), "{cause:?}");
    }
    group.stop_sentinel(0);
    group.stop_sentinel(1);
    let store = open(&settings(&group)).await.unwrap();
    group.stop_sentinel(2);
    // Without sentinels the master is used that was found; the look at it comes once a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    timeout(BOUND, store.ping()).await.unwrap().unwrap();
}

fn settings(group: &Sentinels) -> RedisSettings {
    let addresses = group.addresses();
    let mut settings = RedisSettings::at(Topology::Sentinel(SentinelSettings {
        addresses: addresses
            .iter()
            .map(|address| Address::parse(address).unwrap())
            .collect(),
        master: MASTER.to_owned(),
        user: None,
        password: Some(SENTINEL_PASSWORD.to_owned().into()),
    }));
    settings.user = Some(USER.to_owned());
    settings.password = Some(group.password().to_owned().into());
    settings
}

fn sentinel(settings: &mut RedisSettings) -> &mut SentinelSettings {
    let Topology::Sentinel(sentinel) = &mut settings.topology else {
        panic!("these settings name no sentinel");
    };
    sentinel
}

async fn open(settings: &RedisSettings) -> Result<Arc<dyn Store>, RedisOpenError> {
    let store = RedisStore::open(settings.clone(), fresh_index()).await?;
    Ok(Arc::new(store))
}
