//! Which Redis is taken at start.

use std::{path::Path, process::Command};

use hubkey_e2e::{
    process::{RunFolder, free_port},
    redis::{Redis, RedisOptions},
};
use hubkey_token_broker::store::{
    Store,
    redis::{RedisOpenError, RedisSettings, RedisStore, Refusal},
};

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

#[tokio::test]
async fn security_s7_tls_is_checked_against_the_given_certificates() {
    let run = RunFolder::create("store-s7-tls").unwrap();
    certificates(run.path());
    let port = free_port().unwrap();
    let file = |name: &str| run.join(name).display().to_string();
    let options = RedisOptions {
        extra: vec![
            format!("tls-port {port}"),
            format!("tls-cert-file {}", file("leaf.pem")),
            format!("tls-key-file {}", file("leaf.key")),
            format!("tls-ca-cert-file {}", file("ca.pem")),
            "tls-auth-clients no".to_owned(),
        ],
        ..RedisOptions::default()
    };
    let redis = Redis::start_with(&run, options).await.unwrap();
    let open = async |host: &str, ca: Option<&str>| {
        let mut settings = RedisSettings::new(format!("rediss://{host}:{port}"));
        settings.password = redis.password().map(|password| password.to_owned().into());
        settings.ca_pem = ca.map(|name| std::fs::read(run.join(name)).unwrap());
        RedisStore::open(settings, fresh_index()).await
    };
    let store = open("127.0.0.1", Some("ca.pem")).await.unwrap();
    store.ping().await.unwrap();
    for (host, ca) in [
        ("127.0.0.1", None),
        ("127.0.0.1", Some("other.pem")),
        ("localhost", Some("ca.pem")),
    ] {
        let refused = open(host, ca).await;
        let unreachable = matches!(refused, Err(RedisOpenError::Unreachable(_)));
        assert!(unreachable, "{host} {ca:?}: {refused:?}");
    }
}

/// A certificate of 127.0.0.1 from one authority, and another authority.
fn certificates(folder: &Path) {
    std::fs::write(folder.join("leaf.cnf"), "subjectAltName=IP:127.0.0.1").unwrap();
    for name in ["ca", "other"] {
        let out = format!("-keyout {name}.key -out {name}.pem -subj /CN={name}");
        openssl(
            folder,
            &format!("req -x509 -newkey rsa:2048 -nodes -days 2 {out}"),
        );
    }
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=redis",
    );
    let signing = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2";
    openssl(
        folder,
        &format!("{signing} -extfile leaf.cnf -out leaf.pem"),
    );
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("the program openssl is needed to make certificates");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
