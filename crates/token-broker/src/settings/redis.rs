//! Where Redis is.

use hubkey_service::settings::{Reader, kind};
use zeroize::Zeroizing;

use super::hub::read_ca;

/// Where Redis is, and which of its dangers the operator takes.
#[derive(Clone)]
pub struct RedisSection {
    /// Its address; may hold a password.
    pub url: Zeroizing<String>,
    /// The password, where the address holds none.
    pub password: Option<Zeroizing<String>>,
    /// PEM certificates of the authorities to trust.
    pub ca_pem: Option<Vec<u8>>,
    /// Take an unencrypted connection to another machine.
    pub plaintext: bool,
    /// Take a Redis on another machine that asks for no password.
    pub allow_unauthenticated: bool,
    /// Take a Redis that may throw records away.
    pub allow_eviction: bool,
    /// How many replicas have to hold a commit.
    pub replicas_required: u32,
}

impl std::fmt::Debug for RedisSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSection")
            .field("plaintext", &self.plaintext)
            .finish_non_exhaustive()
    }
}

pub(super) fn read(reader: &Reader) -> Option<RedisSection> {
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
    Some(RedisSection {
        url: url?,
        password,
        ca_pem,
        plaintext,
        allow_unauthenticated,
        allow_eviction,
        replicas_required: u32::try_from(replicas_required).unwrap_or_default(),
    })
}
