//! Which Redis is taken at start.

use hubkey_fakes::certificates::Authority;
use hubkey_starters::{
    process::{RunFolder, checkout},
    redis::{Redis, RedisOptions, USER, USER_RULES},
};
use hubkey_store::{
    Expect, Outcome, Store,
    redis::{RedisOpenError, RedisSettings, RedisStore, Refusal},
};

use crate::{
    conformance::{connection, ends, put},
    subjects::fresh_index,
};

#[tokio::test]
async fn security_s7_a_redis_that_may_evict_is_refused() {
    let run = RunFolder::create("store-s7").unwrap();
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let options = RedisOptions {
            eviction: policy.to_owned(),
            ..RedisOptions::default()
        };
        let redis = Redis::start_with(&run, options).await.unwrap();
        let mut settings = RedisSettings::new(redis.url());
        let refused = RedisStore::open(settings.clone(), fresh_index()).await;
        let Err(RedisOpenError::Refused(Refusal::Eviction { policy: told })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(told, policy);
        settings.allow_eviction = true;
        RedisStore::open(settings, fresh_index()).await.unwrap();
    }
}

#[tokio::test]
async fn security_s7_a_wrong_password_or_no_redis_is_an_error_without_the_password() {
    let run = RunFolder::create("store-s7-password").unwrap();
    let mut redis = Redis::start(&run).await.unwrap();
    let mut settings = RedisSettings::new(redis.url_without_password());
    settings.password = Some("canary".to_owned().into());
    let refused = RedisStore::open(settings.clone(), fresh_index()).await;
    let Err(RedisOpenError::Unreachable(cause)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        !format!("{cause:?} {cause} {settings:?}").contains("canary"),
        "{cause:?}"
    );

    let settings = RedisSettings::new(redis.url());
    RedisStore::open(settings.clone(), fresh_index())
        .await
        .unwrap();
    redis.stop();
    let refused = RedisStore::open(settings, fresh_index()).await;
    assert!(
        matches!(refused, Err(RedisOpenError::Unreachable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn security_s7_tls_and_password_are_checked() {
    let run = RunFolder::create("store-s7-tls").unwrap();
    let options = RedisOptions {
        tls: true,
        ..RedisOptions::default()
    };
    let redis = Redis::start_with(&run, options).await.unwrap();
    let right = std::fs::read(redis.ca_file().unwrap()).unwrap();
    let wrong = Authority::new("other").unwrap().pem().into_bytes();
    let open = async |host: &str, ca: Option<&[u8]>, password: &str| {
        let url = redis.url_without_password().replace("127.0.0.1", host);
        let mut settings = RedisSettings::new(url);
        settings.password = Some(password.to_owned().into());
        settings.ca_pem = ca.map(<[u8]>::to_vec);
        RedisStore::open(settings, fresh_index()).await
    };
    let password = redis.password().unwrap();
    let store = open("127.0.0.1", Some(&right), password).await.unwrap();
    let key = connection(0);
    let watch = store.watch(&key).await.unwrap();
    let written = put(&key, Expect::Absent, b"1").waking();
    assert_eq!(store.commit(vec![written]).await.unwrap(), Outcome::Done);
    ends(watch).await;
    assert!(store.read(&[key]).await.unwrap()[0].is_some());
    for (host, ca, password, cause) in [
        ("127.0.0.1", None, password, "UnknownIssuer"),
        ("127.0.0.1", Some(&wrong[..]), password, "UnknownIssuer"),
        ("localhost", Some(&right), password, "not valid for name"),
        ("127.0.0.1", Some(&right), "canary", "AuthenticationFailed"),
    ] {
        let refused = open(host, ca, password).await;
        let Err(RedisOpenError::Unreachable(told)) = refused else {
            panic!("{host} {cause}: {refused:?}");
        };
        assert!(format!("{told:?}").contains(cause), "{cause}: {told:?}");
        assert!(!format!("{told:?} {told}").contains("canary"), "{told:?}");
    }
}

/// All other tests of the store are done by this user; here is what it may not.
#[tokio::test]
async fn security_s7_the_documented_user_may_do_nothing_else() {
    let manual = std::fs::read_to_string(checkout().join("docs/how-to/redis.md")).unwrap();
    let line = format!("user {USER} on >PASSWORD {USER_RULES}");
    assert!(manual.contains(&line), "docs/how-to/redis.md lacks: {line}");

    let run = RunFolder::create("store-s7-user").unwrap();
    let redis = Redis::start(&run).await.unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for command in [
        "KEYS *",
        "SCAN 0",
        "GET hk:x",
        "HGETALL hk:x",
        "EVAL return(1) 0",
        "CONFIG GET dir",
        "FLUSHALL",
        "SAVE",
        "MONITOR",
        "ACL LIST",
        "SCRIPT FLUSH",
        "CLIENT LIST",
        "REPLICAOF 127.0.0.1 1",
        "HGET other g",
        "SET other x",
        "PUBLISH other x",
        "DEL other",
    ] {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        let answer = asked.arg(words.collect::<Vec<_>>());
        let answer = answer.query_async::<redis::Value>(&mut connection).await;
        let refused = answer.as_ref().err().and_then(redis::RedisError::code);
        assert_eq!(refused, Some("NOPERM"), "{command}: {answer:?}");
    }
}
