//! Which Redis is taken at start.

use hubkey_e2e::{
    process::RunFolder,
    redis::{Redis, RedisOptions},
};
use hubkey_token_broker::store::redis::{RedisOpenError, RedisSettings, RedisStore, Refusal};

use crate::subjects::fresh_index;

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
