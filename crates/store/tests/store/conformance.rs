//! One test for each promise of the contract in `store.rs`, for each backend.
//!
//! A promise that is written and not listed in `conformance!` is dead code, which does not compile here.

#![deny(dead_code)]

use std::{future::Future, time::Duration};

use futures_util::future::join_all;
use hubkey_domain::identity::HubUser;
use hubkey_protocol::{
    ConnectionId, ProviderId, ShortId,
    secret::{FlowCookie, State, Ticket},
};
use hubkey_store::{Action, Change, Expect, Key, Outcome, Store, StoreError, Watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::subjects::Subject;

macro_rules! conformance {
    ($($backend:ident),*) => { $(
        mod $backend {
            conformance! { @promises $backend:
                a_record_is_read_as_it_was_written,
                records_are_read_in_the_order_of_their_keys,
                generations_count_from_one_at_each_creation,
                a_record_is_gone_when_its_time_is_over,
                a_put_gives_new_time,
                a_commit_is_carried_out_whole,
                a_commit_with_a_conflict_changes_nothing,
                a_change_of_another_generation_is_a_conflict,
                a_kept_record_is_only_checked,
                of_concurrent_creations_one_is_done,
                of_concurrent_changes_one_is_done,
                keys_of_two_aggregates_are_refused,
                two_changes_of_one_record_are_refused,
                nothing_is_nothing,
                a_waking_commit_ends_the_watches_of_every_replica,
                a_watch_before_a_read_misses_nothing,
                names_that_look_alike_are_different_records,
                errors_and_records_show_no_value_and_no_key,
                it_answers_a_ping,
            }
        }
    )* };
    (@promises $backend:ident: $($promise:ident),* $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            super::$promise(&crate::subjects::$backend().await).await;
        }
    )* };
}

conformance!(memory, redis, cluster, sealed_memory, sealed_redis);

const MINUTE: Duration = Duration::from_mins(1);
/// Below every life used here, above what a busy machine needs between two commands.
const SOON: Duration = Duration::from_secs(5);

async fn a_record_is_read_as_it_was_written(subject: &Subject) {
    let all: Vec<u8> = (0..=255).collect();
    for (n, value) in [Vec::new(), all.clone(), all.repeat(256)]
        .into_iter()
        .enumerate()
    {
        let key = connection(u8::try_from(n).unwrap());
        done(&subject.store, vec![put(&key, Expect::Absent, &value)]).await;
        let records = subject.replica.read(&[key]).await.unwrap();
        let record = records[0].as_ref().unwrap();
        assert!(*record.value == value);
        assert_eq!(record.generation, 1);
    }
}

async fn records_are_read_in_the_order_of_their_keys(subject: &Subject) {
    let [ticket, flow, state] = sign_in_keys();
    let changes = vec![
        put(&state, Expect::Absent, b"state"),
        put(&ticket, Expect::Absent, b"ticket"),
    ];
    done(&subject.store, changes).await;
    let keys = [ticket.clone(), flow, state, ticket];
    let records = subject.store.read(&keys).await.unwrap();
    let values: Vec<_> = records
        .iter()
        .map(|record| record.as_ref().map(|record| record.value.as_slice()))
        .collect();
    assert_eq!(
        values,
        [Some(&b"ticket"[..]), None, Some(b"state"), Some(b"ticket")]
    );
}

async fn generations_count_from_one_at_each_creation(subject: &Subject) {
    let key = connection(0);
    for _ in 0..2 {
        assert_eq!(generation(&subject.store, &key).await, None);
        done(&subject.store, vec![put(&key, Expect::Absent, b"1")]).await;
        assert_eq!(generation(&subject.store, &key).await, Some(1));
        for n in 1..12 {
            let change = put(&key, Expect::Generation(n), b"2");
            done(&subject.store, vec![change]).await;
        }
        assert_eq!(generation(&subject.store, &key).await, Some(12));
        done(&subject.store, vec![Change::delete(key.clone(), 12)]).await;
    }
}

async fn a_record_is_gone_when_its_time_is_over(subject: &Subject) {
    let key = connection(0);
    let second = Duration::from_secs(1);
    done(&subject.store, vec![living(&key, Expect::Absent, second)]).await;
    subject.pass(second / 4).await;
    assert_eq!(generation(&subject.store, &key).await, Some(1));
    subject.pass(second).await;
    assert_eq!(generation(&subject.store, &key).await, None);
    let late = living(&key, Expect::Generation(1), second);
    conflict(&subject.store, vec![late]).await;
    done(&subject.store, vec![living(&key, Expect::Absent, second)]).await;
    assert_eq!(generation(&subject.store, &key).await, Some(1));
}

async fn a_put_gives_new_time(subject: &Subject) {
    let key = connection(0);
    let second = Duration::from_secs(1);
    done(&subject.store, vec![living(&key, Expect::Absent, second)]).await;
    let renewed = living(&key, Expect::Generation(1), MINUTE);
    done(&subject.store, vec![renewed]).await;
    subject.pass(second * 2).await;
    assert_eq!(generation(&subject.store, &key).await, Some(2));
    let shortened = living(&key, Expect::Generation(2), Duration::ZERO);
    done(&subject.store, vec![shortened]).await;
    assert_eq!(generation(&subject.store, &key).await, None);
}

async fn a_commit_is_carried_out_whole(subject: &Subject) {
    let [ticket, flow, state] = sign_in_keys();
    done(&subject.store, vec![put(&ticket, Expect::Absent, b"1")]).await;
    let changes = vec![
        Change::delete(ticket.clone(), 1),
        put(&flow, Expect::Absent, b"2"),
        put(&state, Expect::Absent, b"3"),
    ];
    done(&subject.store, changes).await;
    let records = subject.replica.read(&[ticket, flow, state]).await.unwrap();
    let there: Vec<_> = records.iter().map(Option::is_some).collect();
    assert_eq!(there, [false, true, true]);
}

async fn a_commit_with_a_conflict_changes_nothing(subject: &Subject) {
    let [ticket, flow, state] = sign_in_keys();
    done(&subject.store, vec![put(&ticket, Expect::Absent, b"1")]).await;
    let last = [
        put(&state, Expect::Generation(1), b"4"),
        Change::delete(state.clone(), 1),
        Change::keep(state.clone(), Expect::Generation(1)),
    ];
    for last in last {
        let changes = vec![
            Change::delete(ticket.clone(), 1),
            put(&flow, Expect::Absent, b"2").waking(),
            last,
        ];
        conflict(&subject.store, changes).await;
        let keys = [ticket.clone(), flow.clone(), state.clone()];
        let records = subject.store.read(&keys).await.unwrap();
        let there: Vec<_> = records.iter().map(Option::is_some).collect();
        assert_eq!(there, [true, false, false]);
    }
}

async fn a_change_of_another_generation_is_a_conflict(subject: &Subject) {
    let key = connection(0);
    done(&subject.store, vec![put(&key, Expect::Absent, b"1")]).await;
    done(&subject.store, vec![put(&key, Expect::Generation(1), b"2")]).await;
    for expect in [Expect::Absent, Expect::Generation(1), Expect::Generation(3)] {
        conflict(&subject.store, vec![put(&key, expect, b"3")]).await;
        conflict(&subject.store, vec![Change::keep(key.clone(), expect)]).await;
    }
    conflict(&subject.store, vec![Change::delete(key.clone(), 1)]).await;
    assert_eq!(generation(&subject.store, &key).await, Some(2));
}

async fn a_kept_record_is_only_checked(subject: &Subject) {
    let [ticket, flow, _] = sign_in_keys();
    done(&subject.store, vec![put(&ticket, Expect::Absent, b"1")]).await;
    let changes = vec![
        Change::keep(ticket.clone(), Expect::Generation(1)),
        Change::keep(flow.clone(), Expect::Absent),
    ];
    done(&subject.store, changes).await;
    assert_eq!(generation(&subject.store, &ticket).await, Some(1));
    assert_eq!(generation(&subject.store, &flow).await, None);
}

async fn of_concurrent_creations_one_is_done(subject: &Subject) {
    for n in 0..8 {
        let key = connection(n);
        assert_eq!(race(subject, &key, Expect::Absent).await, 1);
        assert_eq!(generation(&subject.store, &key).await, Some(1));
    }
}

async fn of_concurrent_changes_one_is_done(subject: &Subject) {
    let key = connection(0);
    done(&subject.store, vec![put(&key, Expect::Absent, b"1")]).await;
    for n in 1..=8 {
        assert_eq!(race(subject, &key, Expect::Generation(n)).await, 1);
        assert_eq!(generation(&subject.store, &key).await, Some(n + 1));
    }
}

async fn keys_of_two_aggregates_are_refused(subject: &Subject) {
    let keys = [connection(0), connection(1)];
    let read = subject.store.read(&keys).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))));
    let changes = keys.iter().map(|key| put(key, Expect::Absent, b"1"));
    let commit = subject.store.commit(changes.collect()).await;
    assert!(matches!(commit, Err(StoreError::Unavailable(_))));
    assert_eq!(generation(&subject.store, &keys[0]).await, None);
}

async fn two_changes_of_one_record_are_refused(subject: &Subject) {
    let key = connection(0);
    let changes = [Expect::Absent, Expect::Generation(1)].map(|expect| put(&key, expect, b"1"));
    let commit = subject.store.commit(changes.into()).await;
    assert!(matches!(commit, Err(StoreError::Unavailable(_))));
    assert_eq!(generation(&subject.store, &key).await, None);
}

async fn nothing_is_nothing(subject: &Subject) {
    assert!(subject.store.read(&[]).await.unwrap().is_empty());
    done(&subject.store, Vec::new()).await;
}

async fn a_waking_commit_ends_the_watches_of_every_replica(subject: &Subject) {
    let key = connection(0);
    let mut watches = Vec::new();
    for store in [&subject.store, &subject.replica, &subject.store] {
        watches.push(store.watch(&key).await.unwrap());
    }
    let change = put(&key, Expect::Absent, b"1").waking();
    done(&subject.store, vec![change]).await;
    ends(join_all(watches)).await;

    // Waking works for every kind of wait: another time, and for two keys at once.
    let [ticket, flow, _] = sign_in_keys();
    let watches = [&ticket, &flow].map(|key| subject.replica.watch(key));
    let watches: Vec<Watch> = join_all(watches)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let changes = [&ticket, &flow].map(|key| put(key, Expect::Absent, b"1").waking());
    done(&subject.store, changes.into()).await;
    ends(join_all(watches)).await;
}

async fn a_watch_before_a_read_misses_nothing(subject: &Subject) {
    for n in 0..32 {
        let key = connection(n);
        let waits = async {
            loop {
                let watch = subject.replica.watch(&key).await.unwrap();
                if generation(&subject.replica, &key).await.is_some() {
                    return;
                }
                watch.await;
            }
        };
        let change = put(&key, Expect::Absent, b"1").waking();
        ends(async { tokio::join!(waits, done(&subject.store, vec![change])) }).await;
    }
}

async fn names_that_look_alike_are_different_records(subject: &Subject) {
    let long = "x".repeat(255);
    let users = [
        "a/b",
        "a%2Fb",
        "A",
        "a",
        "\u{430}",
        "a:b",
        "a{b}",
        "a\0b",
        &long,
        &long[..254],
    ];
    let user = |name| HubUser::parse(name).unwrap();
    let provider = ProviderId::parse("lab").unwrap();
    let keys = users.iter().flat_map(|name| {
        let user = user(name);
        [
            Key::user_index(&user),
            Key::account_link(&user, &provider),
            Key::idempotency(&user, "a", "b"),
            Key::owner(name, "b"),
            Key::owner("b", name),
        ]
    });
    let keys: Vec<Key> = keys.collect();
    for (n, key) in keys.iter().enumerate() {
        let value = n.to_be_bytes();
        done(&subject.store, vec![put(key, Expect::Absent, &value)]).await;
    }
    for (n, key) in keys.iter().enumerate() {
        let records = subject.store.read(std::slice::from_ref(key)).await.unwrap();
        assert_eq!(*records[0].as_ref().unwrap().value, n.to_be_bytes());
    }
}

async fn errors_and_records_show_no_value_and_no_key(subject: &Subject) {
    let user = HubUser::parse("canary").unwrap();
    let key = Key::user_index(&user);
    done(&subject.store, vec![put(&key, Expect::Absent, b"canary")]).await;
    let change = || put(&key, Expect::Absent, b"canary").waking();
    let error = subject
        .store
        .commit(vec![change(), change()])
        .await
        .unwrap_err();
    let records = subject
        .store
        .read(std::slice::from_ref(&key))
        .await
        .unwrap();
    let shown = format!(
        "{error:?} {error} {records:?} {key:?} {:?} {:?}",
        change(),
        subject.store
    );
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains("99, 97"), "{shown}");
}

async fn it_answers_a_ping(subject: &Subject) {
    subject.store.ping().await.unwrap();
}

type Shared = std::sync::Arc<dyn Store>;

pub(crate) fn put(key: &Key, expect: Expect, value: &[u8]) -> Change {
    change(key, expect, value, MINUTE)
}

fn living(key: &Key, expect: Expect, ttl: Duration) -> Change {
    change(key, expect, b"1", ttl)
}

pub(crate) fn change(key: &Key, expect: Expect, value: &[u8], ttl: Duration) -> Change {
    Change {
        key: key.clone(),
        expect,
        action: Action::Put {
            generation: expect.next(),
            value: Zeroizing::new(value.to_vec()),
            ttl,
            wake: false,
        },
    }
}

pub(crate) fn connection(n: u8) -> Key {
    Key::connection(&ConnectionId::from_random(&short(), [n; 16]))
}

pub(crate) fn sign_in_keys() -> [Key; 3] {
    let short = short();
    [
        Key::ticket(&short, &Ticket::new("abcdef.ticket")),
        Key::flow(&short, &FlowCookie::new("cookie")),
        Key::state(&short, &State::new("abcdef.state")),
    ]
}

fn short() -> ShortId {
    ShortId::parse("abcdef").unwrap()
}

pub(crate) async fn done(store: &Shared, changes: Vec<Change>) {
    assert_eq!(store.commit(changes).await.unwrap(), Outcome::Done);
}

async fn conflict(store: &Shared, changes: Vec<Change>) {
    assert_eq!(store.commit(changes).await.unwrap(), Outcome::Conflict);
}

async fn generation(store: &Shared, key: &Key) -> Option<u64> {
    let records = store.read(std::slice::from_ref(key)).await.unwrap();
    records[0].as_ref().map(|record| record.generation)
}

/// How many of many commits at once, through two replicas, are done.
async fn race(subject: &Subject, key: &Key, expect: Expect) -> usize {
    let commits = (0..24_u8).map(|n| {
        let store = if n % 2 == 0 {
            &subject.store
        } else {
            &subject.replica
        };
        let (store, change) = (store.clone(), put(key, expect, &[n]));
        tokio::spawn(async move { store.commit(vec![change]).await.unwrap() })
    });
    let outcomes = join_all(commits).await;
    outcomes
        .into_iter()
        .filter(|outcome| *outcome.as_ref().unwrap() == Outcome::Done)
        .count()
}

pub(crate) async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it ends soon")
}
