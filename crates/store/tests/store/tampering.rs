//! What somebody who can write Redis gets: errors.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{clock::TestClock, identity::HubUser};
use hubkey_protocol::{
    ConnectionId, ProviderId, ShortId,
    secret::{State, Ticket},
};
use hubkey_store::keys::{KeyRing, LookupMacKey};
use hubkey_store::{
    Change, Expect, Key, Outcome, Record, Store, StoreError, memory::MemoryStore,
    sealed::SealedStore,
};

use crate::{
    conformance::{change, connection, put},
    subjects::{clock, ring},
};

const MINUTE: Duration = Duration::from_mins(1);
/// Where what is sealed begins: after `v1`, the key id and the nonce.
const HEADER: usize = 2 + 8 + 12;
/// Where the key's name stands.
const KEY_ID: std::ops::Range<usize> = 2..10;

/// Sealed above, bare below: the attacker's way in.
struct Stage {
    bare: Arc<MemoryStore>,
    clock: Arc<TestClock>,
}

impl Stage {
    fn new() -> Self {
        let clock = clock();
        Self {
            bare: Arc::new(MemoryStore::new(clock.clone())),
            clock,
        }
    }

    fn sealed(&self, keys: &[[u8; 32]]) -> SealedStore<Arc<MemoryStore>> {
        self.sealed_by(ring(keys))
    }

    fn sealed_by(&self, ring: Arc<KeyRing>) -> SealedStore<Arc<MemoryStore>> {
        SealedStore::new(self.bare.clone(), ring, self.clock.clone())
    }

    async fn take(&self, key: &Key) -> Record {
        read(&self.bare, key).await.unwrap().unwrap()
    }

    /// Puts `value` in the place of whatever is there, as `generation`.
    async fn plant(&self, key: &Key, value: &[u8], generation: u64, ttl: Duration) {
        if let Some(record) = read(&self.bare, key).await.unwrap() {
            commit(&self.bare, Change::delete(key.clone(), record.generation)).await;
        }
        commit(&self.bare, change(key, Expect::Absent, value, ttl)).await;
        for n in 1..generation {
            commit(&self.bare, change(key, Expect::Generation(n), value, ttl)).await;
        }
    }
}

/// Each pair differs in one thing: a blob moved from the first to the second does not open.
fn pairs() -> Vec<(&'static str, Key, Key)> {
    let user = |name| HubUser::parse(name).unwrap();
    let (alice, bob) = (user("alice"), user("bob"));
    let provider = |id| ProviderId::parse(id).unwrap();
    let (lab, cloud) = (provider("lab"), provider("cloud"));
    let short = |name| ShortId::parse(name).unwrap();
    let ticket = |sign_in, secret: &str| Key::ticket(&short(sign_in), &Ticket::new(secret));
    let id = |name, n| ConnectionId::from_random(&short(name), [n; 16]);
    vec![
        ("user", Key::user_index(&alice), Key::user_index(&bob)),
        (
            "user of an account link",
            Key::account_link(&alice, &lab),
            Key::account_link(&bob, &lab),
        ),
        (
            "provider",
            Key::account_link(&alice, &lab),
            Key::account_link(&alice, &cloud),
        ),
        (
            "connection",
            Key::connection(&id("abcdef", 1)),
            Key::connection(&id("abcdef", 2)),
        ),
        ("sign-in", ticket("abcdef", "one"), ticket("ghijkl", "one")),
        ("ticket", ticket("abcdef", "one"), ticket("abcdef", "two")),
        (
            "purpose",
            ticket("abcdef", "one"),
            Key::state(&short("abcdef"), &State::new("one")),
        ),
        (
            "purpose and user",
            Key::user_index(&alice),
            Key::idempotency(&alice, "a", "b"),
        ),
        (
            "account",
            Key::owner("issuer", "a"),
            Key::owner("issuer", "b"),
        ),
        ("issuer", Key::owner("one", "a"), Key::owner("two", "a")),
    ]
}

#[tokio::test]
async fn security_s3_a_blob_in_another_place_does_not_open() {
    for (what, from, to) in pairs() {
        let stage = Stage::new();
        let store = stage.sealed(&[[1; 32]]);
        for (key, value) in [(&from, b"from"), (&to, b"own!")] {
            commit(&store, put(key, Expect::Absent, value)).await;
        }
        let [a, b] = [stage.take(&from).await, stage.take(&to).await];
        stage.plant(&to, &a.value, 1, MINUTE).await;
        stage.plant(&from, &b.value, 1, MINUTE).await;
        refused(&store, &to, what).await;
        refused(&store, &from, what).await;
        stage.plant(&to, &b.value, 1, MINUTE).await;
        assert_eq!(*read(&store, &to).await.unwrap().unwrap().value, b"own!");
    }
}

#[tokio::test]
async fn security_s3_an_edited_blob_does_not_open() {
    let stage = Stage::new();
    // Both keys are in the ring, so that an edited key id names one that exists.
    let store = stage.sealed(&[[1; 32], [2; 32]]);
    let other = stage.sealed(&[[2; 32]]);
    let key = connection(0);
    commit(&other, put(&key, Expect::Absent, b"value")).await;
    let foreign = stage.take(&key).await.value;
    commit(&other, Change::delete(key.clone(), 1)).await;
    commit(&store, put(&key, Expect::Absent, b"value")).await;
    let honest = stage.take(&key).await.value;

    for at in 0..honest.len() {
        let mut edited = honest.clone();
        edited[at] ^= 1;
        stage.plant(&key, &edited, 1, MINUTE).await;
        if KEY_ID.contains(&at) {
            gone(&store, &key, "it names a key that is not held").await;
        } else {
            refused(&store, &key, "one bit").await;
        }
    }
    let mut named = honest.clone();
    named[2..10].copy_from_slice(&foreign[2..10]);
    stage.plant(&key, &named, 1, MINUTE).await;
    refused(&store, &key, "key id").await;
    for length in [0, 1, 2, HEADER - 1, HEADER, HEADER + 15, honest.len() - 1] {
        stage.plant(&key, &honest[..length], 1, MINUTE).await;
        refused(&store, &key, "cut").await;
    }
    stage
        .plant(&key, &[&honest[..], b"0"].concat(), 1, MINUTE)
        .await;
    refused(&store, &key, "longer").await;
    stage
        .plant(&key, b"{\"refresh_token\":\"planted\"}", 1, MINUTE)
        .await;
    refused(&store, &key, "in clear").await;
}

#[tokio::test]
async fn security_s4_an_older_blob_of_the_same_record_does_not_open() {
    let stage = Stage::new();
    let store = stage.sealed(&[[1; 32]]);
    let key = connection(0);
    commit(&store, put(&key, Expect::Absent, b"old")).await;
    let old = stage.take(&key).await;
    commit(&store, put(&key, Expect::Generation(1), b"new")).await;
    let new = stage.take(&key).await;

    stage.plant(&key, &old.value, 2, MINUTE).await;
    refused(&store, &key, "the value rolled back").await;
    stage.plant(&key, &new.value, 1, MINUTE).await;
    refused(&store, &key, "the generation rolled back").await;
    stage.plant(&key, &new.value, 3, MINUTE).await;
    refused(&store, &key, "the generation raised").await;
    stage.plant(&key, &new.value, 2, MINUTE).await;
    assert_eq!(*read(&store, &key).await.unwrap().unwrap().value, b"new");
}

#[tokio::test]
async fn security_s5_a_record_brought_back_after_its_time_does_not_open() {
    let stage = Stage::new();
    let store = stage.sealed(&[[1; 32]]);
    let key = connection(0);
    let used = change(&key, Expect::Absent, b"ticket", MINUTE);
    commit(&store, used).await;
    let record = stage.take(&key).await;
    commit(&store, Change::delete(key.clone(), 1)).await;

    // Within its time a restored record is itself again: what it may still do, the flows judge.
    stage.plant(&key, &record.value, 1, MINUTE * 60).await;
    assert!(read(&store, &key).await.unwrap().is_some());
    stage.clock.advance(MINUTE + Duration::from_secs(4));
    assert!(
        read(&store, &key).await.unwrap().is_some(),
        "the leeway for clocks"
    );
    stage.clock.advance(Duration::from_secs(1));
    refused(&store, &key, "after its sealed end").await;
}

#[tokio::test]
async fn security_s6_keys_rotate_and_a_retired_key_opens_nothing() {
    let stage = Stage::new();
    let (k1, k2) = ([1; 32], [2; 32]);
    let before = stage.sealed(&[k1]);
    let during = stage.sealed(&[k2, k1]);
    let after = stage.sealed(&[k2]);
    let (kept, renewed) = (connection(0), connection(1));
    for key in [&kept, &renewed] {
        commit(&before, put(key, Expect::Absent, b"value")).await;
        assert!(read(&during, key).await.unwrap().is_some());
    }
    commit(&during, put(&renewed, Expect::Generation(1), b"value")).await;
    assert!(read(&after, &renewed).await.unwrap().is_some());
    gone(&after, &kept, "sealed with the retired key").await;
    gone(&before, &renewed, "sealed with a key that is not known yet").await;

    // A replica that has the new key second already opens what the others seal with it.
    let early = stage.sealed(&[k1, k2]);
    assert!(read(&early, &renewed).await.unwrap().is_some());
}

#[tokio::test]
async fn security_s6_the_ring_follows_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["1", "2"].map(|name| folder.path().join(name));
    for path in [&first, &second] {
        hubkey_store::keys::generate(path).unwrap();
    }
    let index = LookupMacKey::new(&[9; 32]);
    let active = folder.path().join("active");
    std::fs::copy(&first, &active).unwrap();
    let ring = Arc::new(KeyRing::open(vec![active.clone()], &index).unwrap());
    let stage = Stage::new();
    let store = stage.sealed_by(ring.clone());
    let key = connection(0);
    commit(&store, put(&key, Expect::Absent, b"value")).await;
    std::fs::copy(&second, &active).unwrap();
    assert!(
        read(&store, &key).await.unwrap().is_some(),
        "not read again yet"
    );
    assert!(ring.reload().unwrap());
    gone(&store, &key, "sealed with the replaced key").await;
}

#[tokio::test]
async fn security_s6_no_nonce_and_no_blob_repeats() {
    let stage = Stage::new();
    let store = stage.sealed(&[[1; 32]]);
    let key = connection(0);
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        commit(&store, put(&key, Expect::Absent, b"the same value")).await;
        let blob = stage.take(&key).await.value;
        assert!(
            nonces.insert(blob[10..HEADER].to_vec()),
            "a nonce came twice"
        );
        commit(&store, Change::delete(key.clone(), 1)).await;
    }
}

#[tokio::test]
async fn security_s3_failures_are_counted_without_names() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new();
    let store = stage.sealed(&[[1; 32]]);
    let key = Key::user_index(&HubUser::parse("alice").unwrap());
    commit(&store, put(&key, Expect::Absent, b"value")).await;
    stage.plant(&key, b"other", 1, MINUTE).await;
    refused(&store, &key, "planted").await;
    let shown = handle.render();
    assert!(
        shown.contains("hubkey_store_decryption_failures_total{purpose=\"user-index\"} 1"),
        "{shown}"
    );
    assert!(!shown.contains("alice"), "{shown}");
}

/// It opens to nobody and counts as no record (ADR 58).
async fn gone(store: &impl Store, key: &Key, what: &str) {
    let read = read(store, key).await;
    assert!(matches!(read, Ok(None)), "{what}: {read:?}");
}

async fn refused(store: &impl Store, key: &Key, what: &str) {
    let read = read(store, key).await;
    assert!(
        matches!(read, Err(StoreError::DecryptionFailed)),
        "{what}: {read:?}"
    );
}

async fn read(store: &impl Store, key: &Key) -> Result<Option<Record>, StoreError> {
    let mut records = store.read(std::slice::from_ref(key)).await?;
    Ok(records.remove(0))
}

async fn commit(store: &impl Store, change: Change) {
    assert_eq!(store.commit(vec![change]).await.unwrap(), Outcome::Done);
}
