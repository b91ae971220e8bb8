//! What somebody who can read Redis, and hear every command that reaches it, learns: nothing.

use std::{sync::Arc, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use futures_util::StreamExt;
use hubkey_domain::identity::HubUser;
use hubkey_protocol::{
    ConnectionId, Nonce, ProviderId, ShortId,
    secret::{FlowCookie, State, Ticket},
};
use hubkey_starters::{process::RunFolder, redis::Redis};
use hubkey_store::keys::LookupMacKey;
use hubkey_store::{
    Expect, Key, Outcome, Store,
    redis::{RedisSettings, RedisStore},
    sealed::SealedStore,
};
use tokio::time::timeout;

use crate::{
    conformance::put,
    subjects::{clock, fresh_index, ring},
};

/// Every kind of secret and of name, each with a text that occurs nowhere else.
fn records() -> Vec<(Key, &'static str)> {
    let short = ShortId::parse("qzxjvk").unwrap();
    let user = HubUser::parse("canary-user/é").unwrap();
    let provider = ProviderId::parse("canary-provider").unwrap();
    vec![
        (Key::sign_in(&nonce()), "{\"poll\":\"canary-poll-secret\"}"),
        (
            Key::ticket(&short, &Ticket::new("qzxjvk.canary-ticket")),
            "canary-nonce-inside",
        ),
        (
            Key::flow(&short, &FlowCookie::new("canary-cookie")),
            "canary-verifier",
        ),
        (
            Key::state(&short, &State::new("qzxjvk.canary-state")),
            "canary-oidc-nonce",
        ),
        (
            Key::connection(&connection()),
            "{\"rt\":\"canary-refresh\\\"token\"}",
        ),
        (Key::user_index(&user), "canary-index"),
        (
            Key::idempotency(&user, "canary-print", "canary-key"),
            "canary-answer",
        ),
        (Key::account_link(&user, &provider), "canary-subject"),
        (
            Key::owner("https://canary-issuer.example", "canary-sub"),
            "canary-owner",
        ),
    ]
}

/// The texts that must not be seen.
fn canaries() -> Vec<String> {
    let mut canaries: Vec<String> = [
        "canary",
        "qzxjvk",
        "poll-secret",
        "ticket\"",
        "-ticket",
        "cookie",
        "verifier",
        "oidc-nonce",
        "refresh\"token",
        "user/é",
        "-provider",
        "issuer.example",
        "owner\"",
        "-subject",
    ]
    .map(str::to_owned)
    .to_vec();
    canaries.push(nonce().as_str()[7..].to_owned());
    canaries.push(connection().as_str()[7..].to_owned());
    canaries
}

fn nonce() -> Nonce {
    Nonce::from_random(&ShortId::parse("qzxjvk").unwrap(), *b"canary-nonce-123")
}

fn connection() -> ConnectionId {
    ConnectionId::from_random(&ShortId::parse("qzxjvk").unwrap(), *b"canary-connect-1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_s1_neither_a_dump_nor_an_ear_learns_anything() {
    let (heard, dump, file) = record_everything(&fresh_index()).await;
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(
        heard.contains("EVALSHA") || heard.contains("evalsha"),
        "the ear hears: {heard}"
    );
    for capture in [heard.into_bytes(), dump, file] {
        assert!(!capture.is_empty());
        for canary in canaries() {
            for (encoding, encoded) in encodings(&canary) {
                assert!(
                    !contains(&capture, &encoded),
                    "{canary} is seen as {encoding}"
                );
            }
        }
    }
}

/// The same captures, searched for what must be in them: the search can find something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_s1_the_search_finds_what_is_there() {
    let (heard, dump, file) = record_everything(&fresh_index()).await;
    for capture in [heard, dump, file] {
        for word in ["hk:{", "}:connection:", "}:account-link:"] {
            assert!(contains(&capture, word.as_bytes()), "{word}");
        }
    }
    for canary in canaries() {
        for (encoding, encoded) in encodings(&canary) {
            let hidden = [&b"before "[..], &encoded, b" after"].concat();
            assert!(contains(&hidden, &encoded), "{encoding}");
        }
    }
    let wrapped = URL_SAFE_NO_PAD.encode("xxcanaryxx");
    let found = encodings("canary")
        .iter()
        .any(|(_, encoded)| contains(wrapped.as_bytes(), encoded));
    assert!(found, "base64 is found at any offset");
}

/// From a dump alone nothing can be redeemed: names are made with a key that the dump does not hold, and what stands
/// in the dump is the name of nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_s2_what_stands_in_a_dump_redeems_nothing() {
    let run = RunFolder::create("store-s2").unwrap();
    let redis = Redis::start(&run).await.unwrap();
    let index = fresh_index();
    let store = fill(&redis, &index).await;
    let mut connection = redis.connect().await.unwrap();
    let names: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(names.len(), records().len());
    let short = ShortId::parse("qzxjvk").unwrap();
    for name in &names {
        let parts = name.split([':', '{', '}']).filter(|part| part.len() == 43);
        for text in parts.chain([name.as_str()]) {
            let keys = [
                Key::ticket(&short, &Ticket::new(text)),
                Key::flow(&short, &FlowCookie::new(text)),
                Key::state(&short, &State::new(text)),
            ];
            let found = store.read(&keys).await.unwrap();
            assert!(found.iter().all(Option::is_none));
        }
    }
    // Who has the dump and the secrets, but not the lookup MAC key, finds nothing either.
    let stranger = sealed(&redis, &fresh_index()).await;
    for (key, _) in records() {
        assert!(stranger.read(&[key]).await.unwrap()[0].is_none());
    }
}

type Sealed = SealedStore<RedisStore>;

async fn sealed(redis: &Redis, index: &LookupMacKey) -> Sealed {
    let settings = RedisSettings::new(redis.url());
    let store = RedisStore::open(settings, index.clone()).await.unwrap();
    SealedStore::new(store, ring(&[[1; 32]]), clock())
}

async fn fill(redis: &Redis, index: &LookupMacKey) -> Sealed {
    let store = sealed(redis, index).await;
    for (key, value) in records() {
        let watch = store.watch(&key).await.unwrap();
        let change = put(&key, Expect::Absent, value.as_bytes()).waking();
        assert_eq!(store.commit(vec![change]).await.unwrap(), Outcome::Done);
        let record = store.read(&[key]).await.unwrap().remove(0).unwrap();
        assert_eq!(*record.value, value.as_bytes());
        watch.await;
    }
    store
}

/// What `MONITOR` hears while records are written, read and woken; then every key with its `DUMP`; then the RDB file.
async fn record_everything(index: &LookupMacKey) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let run = RunFolder::create("store-s1").unwrap();
    let redis = Arc::new(Redis::start(&run).await.unwrap());
    let client = redis.client().unwrap();
    let monitor = client.get_async_monitor().await.unwrap();
    let mut lines = monitor.into_on_message::<String>();
    fill(&redis, index).await;
    let mut heard = Vec::new();
    while let Ok(Some(line)) = timeout(Duration::from_millis(300), lines.next()).await {
        heard.extend_from_slice(unescaped(&line).as_slice());
    }
    let mut connection = redis.connect().await.unwrap();
    let mut dump = Vec::new();
    let names: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    for name in names {
        let value: Vec<u8> = redis::cmd("DUMP")
            .arg(&name)
            .query_async(&mut connection)
            .await
            .unwrap();
        dump.extend_from_slice(&[name, value].concat());
    }
    redis::cmd("SAVE")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let file = std::fs::read(redis.folder().join("dump.rdb")).unwrap();
    (heard, dump, file)
}

/// `MONITOR` writes bytes that are no text as `\xNN`; both forms are kept.
fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    let mut rest = line;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest
            .get(at + 2..at + 4)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.extend(code);
        rest = &rest[(at + 4).min(rest.len())..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A text as it may be found somewhere, in every way that it may have been written there.
fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex = |upper: bool, prefix: &str| {
        let digits = |byte: u8| {
            if upper {
                format!("{prefix}{byte:02X}")
            } else {
                format!("{prefix}{byte:02x}")
            }
        };
        text.bytes()
            .map(digits)
            .collect::<Vec<_>>()
            .concat()
            .into_bytes()
    };
    let percent: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let json = serde_json::to_string(text).unwrap();
    let escaped: Vec<String> = text
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let mut all = vec![
        ("raw", text.as_bytes().to_vec()),
        ("hex", hex(false, "")),
        ("HEX", hex(true, "")),
        ("percent", percent.into_bytes()),
        ("percent, every byte", hex(true, "%")),
        ("JSON", json.as_bytes()[1..json.len() - 1].to_vec()),
        ("JSON, every character", escaped.concat().into_bytes()),
        (
            "UTF-16, little",
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "UTF-16, big",
            text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        ),
    ];
    for offset in 0..3 {
        all.push(("base64", inner_base64(&STANDARD_NO_PAD, text, offset)));
        all.push(("base64url", inner_base64(&URL_SAFE_NO_PAD, text, offset)));
    }
    all
}

/// The characters that every base64 text has which holds `text` behind so many other bytes.
fn inner_base64(engine: &impl Engine, text: &str, offset: usize) -> Vec<u8> {
    let padded = [&vec![0; offset][..], text.as_bytes()].concat();
    let encoded = engine.encode(&padded);
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded.as_bytes()[first..last].to_vec()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
