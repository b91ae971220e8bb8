//! Where Redis is, and which of its dangers the operator takes.

use std::fmt;

use redis::{Client, IntoConnectionInfo, TlsCertificates};
use zeroize::Zeroizing;

use super::{RedisOpenError, checks};

/// Where Redis is, and which of its dangers the operator takes.
#[derive(Clone)]
pub struct RedisSettings {
    /// `rediss://[user@]host:port[/database]`, or `redis://` on loopback, or `unix://path`. May hold a password.
    pub url: Zeroizing<String>,
    /// The password, where the address holds none.
    pub password: Option<Zeroizing<String>>,
    /// PEM certificates to trust in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Take an unencrypted connection to another machine.
    pub plaintext: bool,
    /// Take a Redis on another machine that asks for no password.
    pub allow_unauthenticated: bool,
    /// Take a Redis that may throw records away when its memory is full.
    pub allow_eviction: bool,
    /// How many replicas have to hold a commit before it counts.
    pub replicas_required: u32,
}

impl RedisSettings {
    /// A Redis at this address, and none of the dangers.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Zeroizing::new(url.into()),
            password: None,
            ca_pem: None,
            plaintext: false,
            allow_unauthenticated: false,
            allow_eviction: false,
            replicas_required: 0,
        }
    }

    /// Judges the address, without going there.
    pub fn check(&self) -> Result<(), RedisOpenError> {
        Ok(checks::address(&self.client()?, self)?)
    }

    pub(super) fn client(&self) -> Result<Client, RedisOpenError> {
        self.build().map_err(RedisOpenError::Address)
    }

    fn build(&self) -> redis::RedisResult<Client> {
        let info = self.url.as_str().into_connection_info()?;
        let mut redis = info.redis_settings().clone();
        if let Some(password) = &self.password {
            redis = redis.set_password(password.as_str());
        }
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        // A peer that vanished without a word is noticed by what it does not acknowledge.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(std::time::Duration::from_secs(3));
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp);
        match &self.ca_pem {
            None => Client::open(info),
            Some(pem) => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                };
                Client::build_with_tls(info, certificates)
            }
        }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("plaintext", &self.plaintext)
            .field("allow_unauthenticated", &self.allow_unauthenticated)
            .field("allow_eviction", &self.allow_eviction)
            .field("replicas_required", &self.replicas_required)
            .finish_non_exhaustive()
    }
}
