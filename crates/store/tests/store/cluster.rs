//! What is particular of a Redis Cluster. What it promises as every store does is in `conformance`.

use std::sync::Arc;

use hubkey_starters::redis::cluster::Cluster;
use hubkey_store::{
    Expect, Store,
    redis::{RedisOpenError, RedisStore, Refusal},
};

use crate::{
    conformance::{connection, done, put},
    outages::{generation, unavailable, until},
    subjects::{cluster_settings, fresh_index},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_followed_and_a_commit_is_not_repeated() {
    let cluster = Cluster::start("store-cluster-move").await.unwrap();
    let store = RedisStore::open(cluster_settings(&cluster), fresh_index());
    let store: Arc<dyn Store> = Arc::new(store.await.unwrap());
    store.ping().await.unwrap();
    cluster.move_slots().await.unwrap();
    for n in 0..64 {
        let key = connection(n);
        done(&store, vec![put(&key, Expect::Absent, b"1")]).await;
        assert_eq!(generation(&store, &key).await, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_s7_every_node_of_a_cluster_has_to_keep_what_it_is_given() {
    let cluster = Cluster::start("store-cluster-s7").await.unwrap();
    let last = cluster.nodes().last().unwrap();
    let mut admin = last.connect().await.unwrap();
    let mut evict = redis::cmd("CONFIG");
    evict.arg("SET").arg("maxmemory-policy").arg("allkeys-lru");
    evict.exec_async(&mut admin).await.unwrap();
    let mut settings = cluster_settings(&cluster);
    let refused = RedisStore::open(settings.clone(), fresh_index()).await;
    assert!(
        matches!(
            refused,
            Err(RedisOpenError::Refused(Refusal::Eviction { .. }))
        ),
        "{refused:?}"
    );
    settings.allow_eviction = true;
    RedisStore::open(settings, fresh_index()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r14_a_dead_cluster_answers_within_a_second() {
    let cluster = Cluster::start("store-cluster-r14").await.unwrap();
    let store = RedisStore::open(cluster_settings(&cluster), fresh_index());
    let store: Arc<dyn Store> = Arc::new(store.await.unwrap());
    done(&store, vec![put(&connection(0), Expect::Absent, b"1")]).await;
    drop(cluster);
    for _ in 0..2 {
        unavailable(store.read(&[connection(0)])).await;
        unavailable(store.commit(vec![put(&connection(0), Expect::Generation(1), b"2")])).await;
        unavailable(store.ping()).await;
    }
    until(async || store.ping().await.is_err()).await;
}
