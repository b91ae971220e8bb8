//! Records that only a key opens which is held no more (ADR 58).

use std::{sync::Arc, time::Duration};

use hubkey_domain::{clock::TestClock, identity::HubUser};
use hubkey_protocol::{ConnectionId, ProviderId, ShortId};
use hubkey_store::{
    Change, Expect, Key, Outcome, Record, Store, StoreError, memory::MemoryStore,
    sealed::SealedStore,
};

use crate::{
    conformance::{change, connection, put},
    subjects::{clock, fresh_index, open, ring},
};

const K1: [u8; 32] = [1; 32];
const K2: [u8; 32] = [2; 32];
const MINUTE: Duration = Duration::from_mins(1);

/// One store below, above it brokers with different keys.
struct Stage {
    bare: Arc<dyn Store>,
    clock: Arc<TestClock>,
}

impl Stage {
    async fn both() -> [Self; 2] {
        let clock = clock();
        let memory = Arc::new(MemoryStore::new(clock.clone()));
        let redis = Arc::new(open(&fresh_index()).await);
        let stage = |bare: Arc<dyn Store>| Self {
            bare,
            clock: clock.clone(),
        };
        [stage(memory), stage(redis)]
    }

    fn with(&self, keys: &[[u8; 32]]) -> SealedStore<Arc<dyn Store>> {
        SealedStore::new(self.bare.clone(), ring(keys), self.clock.clone())
    }
}

fn alice() -> HubUser {
    HubUser::parse("alice").unwrap()
}

fn account_link() -> Key {
    Key::account_link(&alice(), &ProviderId::parse("lab").unwrap())
}

fn owner() -> Key {
    Key::owner("https://issuer.example", "subject")
}

fn lease() -> Key {
    Key::lease(&id())
}

fn id() -> ConnectionId {
    ConnectionId::from_random(&ShortId::parse("abcdef").unwrap(), [7; 16])
}

/// Those that forbid something by being there.
fn forbidding() -> [Key; 3] {
    [
        owner(),
        lease(),
        Key::used_logout("https://issuer.example", "token"),
    ]
}

#[tokio::test]
async fn found_a11_first_aid_a_record_that_counts_as_gone_is_replaced_as_if_it_were_not_there() {
    for stage in Stage::both().await {
        let (before, after) = (stage.with(&[K1]), stage.with(&[K2]));
        for key in [account_link(), connection(0), Key::user_index(&alice())] {
            done(&before, put(&key, Expect::Absent, b"old")).await;
            done(&before, put(&key, Expect::Generation(1), b"older")).await;
            assert!(read(&after, &key).await.unwrap().is_none());
            done(&after, put(&key, Expect::Absent, b"new")).await;
            let new = read(&after, &key).await.unwrap().unwrap();
            assert_eq!(*new.value, b"new");
            assert!(new.generation > 2, "no generation comes twice");
            // As ever, of what counts.
            let again = after
                .commit(vec![put(&key, Expect::Absent, b"newer")])
                .await;
            assert_eq!(again.unwrap(), Outcome::Conflict);
            done(&after, put(&key, new.expect(), b"newer")).await;
        }
    }
}

#[tokio::test]
async fn found_a11_first_aid_of_concurrent_commits_over_what_is_gone_one_is_carried_out() {
    for stage in Stage::both().await {
        let key = account_link();
        done(&stage.with(&[K1]), put(&key, Expect::Absent, b"old")).await;
        let after = stage.with(&[K2]);
        let commits = (0..10).map(|_| after.commit(vec![put(&key, Expect::Absent, b"new")]));
        let outcomes = futures_util::future::join_all(commits).await;
        let carried_out = outcomes
            .into_iter()
            .filter(|outcome| matches!(outcome, Ok(Outcome::Done)));
        assert_eq!(carried_out.count(), 1);
    }
}

#[tokio::test]
async fn found_a11_first_aid_a_commit_over_what_is_gone_is_carried_out_whole_or_not_at_all() {
    for stage in Stage::both().await {
        let (before, after) = (stage.with(&[K1]), stage.with(&[K2]));
        let (index, repeated) = (
            Key::user_index(&alice()),
            Key::idempotency(&alice(), "a", "b"),
        );
        done(&before, put(&index, Expect::Absent, b"old")).await;
        done(&after, put(&repeated, Expect::Absent, b"live")).await;
        let both = vec![
            put(&index, Expect::Absent, b"new"),
            put(&repeated, Expect::Absent, b"new"),
        ];
        assert_eq!(after.commit(both).await.unwrap(), Outcome::Conflict);
        assert!(read(&after, &index).await.unwrap().is_none());
        let both = vec![
            put(&index, Expect::Absent, b"new"),
            put(&repeated, Expect::Generation(1), b"new"),
        ];
        assert_eq!(after.commit(both).await.unwrap(), Outcome::Done);
        for key in [index, repeated] {
            assert_eq!(*read(&after, &key).await.unwrap().unwrap().value, b"new");
        }
    }
}

#[tokio::test]
async fn found_a11_first_aid_what_forbids_by_being_there_never_counts_as_gone() {
    for stage in Stage::both().await {
        for key in forbidding() {
            done(&stage.with(&[K1]), put(&key, Expect::Absent, b"old")).await;
            let after = stage.with(&[K2]);
            let read = read(&after, &key).await;
            let Err(StoreError::KeyRetired(retired)) = read else {
                panic!("{key:?}: {read:?}");
            };
            assert_eq!((retired.purpose, retired.generation), (key.purpose(), 1));
            let over = after.commit(vec![put(&key, Expect::Absent, b"new")]).await;
            assert_eq!(over.unwrap(), Outcome::Conflict, "{key:?}");
            // Whoever knows what they replace may.
            done(&after, put(&key, Expect::Generation(1), b"new")).await;
        }
    }
}

#[tokio::test]
async fn found_a11_first_aid_long_lived_records_are_sealed_anew_when_they_are_read() {
    for stage in Stage::both().await {
        let (before, during) = (stage.with(&[K1]), stage.with(&[K2, K1]));
        let after = stage.with(&[K2]);
        for key in [account_link(), owner(), Key::user_index(&alice())] {
            done(&before, put(&key, Expect::Absent, b"value")).await;
            let record = read(&during, &key).await.unwrap().unwrap();
            assert_eq!((&record.value[..], record.generation), (&b"value"[..], 2));
            let record = read(&after, &key).await.unwrap().unwrap();
            assert_eq!((&record.value[..], record.generation), (&b"value"[..], 2));
            // Once.
            assert_eq!(read(&during, &key).await.unwrap().unwrap().generation, 2);
            done(&after, put(&key, record.expect(), b"next")).await;
        }
        // What many steps change in turn keeps the generation under which they read it.
        let other = connection(0);
        done(&before, put(&other, Expect::Absent, b"value")).await;
        assert_eq!(read(&during, &other).await.unwrap().unwrap().generation, 1);
        assert!(read(&after, &other).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn found_a11_first_aid_a_record_lives_no_longer_for_being_sealed_anew() {
    let [stage, _] = Stage::both().await;
    let life = change(&account_link(), Expect::Absent, b"value", MINUTE);
    done(&stage.with(&[K1]), life).await;
    stage.clock.advance(Duration::from_millis(59_999));
    let during = stage.with(&[K2, K1]);
    assert!(read(&during, &account_link()).await.unwrap().is_some());
    stage.clock.advance(Duration::from_millis(1));
    assert!(read(&during, &account_link()).await.unwrap().is_none());
}

#[tokio::test]
async fn found_a11_first_aid_keys_that_are_missing_are_counted_by_name_and_are_no_alarm_of_tampering()
 {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let [stage, _] = Stage::both().await;
    done(&stage.with(&[K1]), put(&owner(), Expect::Absent, b"old")).await;
    assert!(read(&stage.with(&[K2]), &owner()).await.is_err());
    let id = ring(&[K1]).active().id();
    let shown = handle.render();
    let counted =
        format!("hubkey_retired_key_records_total{{purpose=\"owner\",key_id=\"{id}\"}} 1");
    assert!(shown.contains(&counted), "{shown}");
    assert!(
        !shown.contains("hubkey_store_decryption_failures_total"),
        "{shown}"
    );
}

async fn read(store: &impl Store, key: &Key) -> Result<Option<Record>, StoreError> {
    let mut records = store.read(std::slice::from_ref(key)).await?;
    Ok(records.remove(0))
}

async fn done(store: &impl Store, change: Change) {
    assert_eq!(store.commit(vec![change]).await.unwrap(), Outcome::Done);
}

trait Expected {
    fn expect(&self) -> Expect;
}

impl Expected for Record {
    fn expect(&self) -> Expect {
        Expect::Generation(self.generation)
    }
}
