//! Where Redis is.

use hubkey_service::settings::{Reader, kind};
use zeroize::Zeroizing;

use super::hub::read_ca;
use crate::store::redis::{RedisOpenError, RedisSettings, Refusal};

pub(super) fn read(reader: &Reader) -> Option<RedisSettings> {
    let section = reader.section("redis");
    let url = section.optional_secret(
        "url",
        Zeroizing::new,
        "Where Redis is: `rediss://user@host:port`; the embedded memory store where left out.",
    );
    let password = section.optional_secret(
        "password",
        Zeroizing::new,
        "The password, where the address holds none.",
    );
    let ca_pem = read_ca(&section);
    let switch = |key: &str, about: &str| section.or(key, &kind::SWITCH, false, about);
    let plaintext = switch(
        "plaintext",
        "Whether Redis may be on another machine without TLS.",
    );
    let allow_unauthenticated = switch(
        "allow_unauthenticated",
        "Whether Redis on another machine may ask for no password.",
    );
    let allow_eviction = switch(
        "allow_eviction",
        "Whether Redis may throw records away when its memory is full.",
    );
    let replicas_required = section.or(
        "replicas_required",
        &kind::Number::between(0, 16),
        0,
        "How many replicas have to hold what was written before it counts.",
    );
    let settings = RedisSettings {
        url: url?,
        password,
        ca_pem,
        plaintext,
        allow_unauthenticated,
        allow_eviction,
        replicas_required: u32::try_from(replicas_required).unwrap_or_default(),
    };
    if let Err(error) = settings.check() {
        let (key, sentence) = mistake(&error);
        section.fail(key, &sentence);
    }
    Some(settings)
}

fn mistake(error: &RedisOpenError) -> (&'static str, String) {
    match error {
        RedisOpenError::Refused(refusal @ Refusal::Unauthenticated) => {
            ("password_file", format!("{refusal}."))
        }
        RedisOpenError::Refused(refusal) => ("url_file", format!("{refusal}.")),
        // The cause may hold the address, and the address the password.
        RedisOpenError::Address(_) | RedisOpenError::Unreachable(_) => (
            "url_file",
            "write `rediss://user@host:port` into it, and PEM certificates into `redis.ca_file` if that is set."
                .to_owned(),
        ),
    }
}
