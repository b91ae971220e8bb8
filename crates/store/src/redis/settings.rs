//! Where Redis is, and which of its dangers the operator takes.

use std::fmt;

use redis::{
    Client, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates,
    cluster::ClusterClient, io::tcp::TcpSettings,
};
use zeroize::Zeroizing;

use super::{
    error::RedisOpenError,
    patience::PATIENCE,
    topology::{Address, SentinelSettings, Topology},
};

/// Where Redis is, and which of its dangers the operator takes.
#[derive(Clone)]
pub struct RedisSettings {
    /// Where it is.
    pub topology: Topology,
    /// The user, where the address names none.
    pub user: Option<String>,
    /// The password, where the address holds none.
    pub password: Option<Zeroizing<String>>,
    /// PEM certificates to trust in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Take an unencrypted connection to another machine.
    pub allow_plaintext: bool,
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
        Self::at(Topology::Server(Zeroizing::new(url.into())))
    }

    /// A Redis at this place, and none of the dangers.
    #[must_use]
    pub fn at(topology: Topology) -> Self {
        Self {
            topology,
            user: None,
            password: None,
            ca_pem: None,
            allow_plaintext: false,
            allow_unauthenticated: false,
            allow_eviction: false,
            replicas_required: 0,
        }
    }

    /// A client of the one server.
    pub(super) fn server(&self, url: &str) -> Result<Client, RedisOpenError> {
        let info = url.into_connection_info();
        info.and_then(|info| self.as_user(info))
            .map_err(RedisOpenError::Address)
    }

    /// A client of a server that was found.
    pub(super) fn node(&self, address: &Address) -> Result<Client, RedisOpenError> {
        let info = address.for_connection().into_connection_info();
        info.and_then(|info| self.as_user(info))
            .map_err(RedisOpenError::Address)
    }

    /// A client of one of the sentinels.
    pub(super) fn sentinel(
        &self,
        sentinel: &SentinelSettings,
        address: &Address,
    ) -> Result<Client, RedisOpenError> {
        let who = (sentinel.user.as_ref(), sentinel.password.as_ref());
        let info = address.for_connection().into_connection_info();
        info.and_then(|info| self.build(identified(info, who)))
            .map_err(RedisOpenError::Address)
    }

    /// A client of the cluster to which these nodes belong. It repeats nothing by itself.
    pub(super) fn cluster(&self, nodes: &[Address]) -> Result<ClusterClient, RedisOpenError> {
        let build = || {
            let infos = nodes
                .iter()
                .map(|address| address.for_connection().into_connection_info());
            let infos = infos.collect::<RedisResult<Vec<_>>>()?;
            let mut builder = ClusterClient::builder(infos)
                .retries(0)
                .connection_timeout(PATIENCE)
                .response_timeout(PATIENCE)
                .tcp_settings(tcp(TcpSettings::default()));
            if let Some(user) = &self.user {
                builder = builder.username(user);
            }
            if let Some(password) = &self.password {
                builder = builder.password(password.as_str());
            }
            match self.certificates() {
                Some(certificates) => builder.certs(certificates).build(),
                None => builder.build(),
            }
        };
        build().map_err(RedisOpenError::Address)
    }

    fn as_user(&self, info: ConnectionInfo) -> RedisResult<Client> {
        self.build(identified(
            info,
            (self.user.as_ref(), self.password.as_ref()),
        ))
    }

    fn build(&self, info: ConnectionInfo) -> RedisResult<Client> {
        let tcp = tcp(info.tcp_settings().clone());
        let info = info.set_tcp_settings(tcp);
        match self.certificates() {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates),
        }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        self.ca_pem.clone().map(|pem| TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        })
    }
}

fn tcp(settings: TcpSettings) -> TcpSettings {
    let settings = settings.set_nodelay(true);
    // A peer that vanished without a word is noticed by what it does not acknowledge.
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(std::time::Duration::from_secs(3));
    settings
}

type Who<'a> = (Option<&'a String>, Option<&'a Zeroizing<String>>);

fn identified(info: ConnectionInfo, (user, password): Who<'_>) -> ConnectionInfo {
    let mut redis = info.redis_settings().clone();
    if let Some(user) = user {
        redis = redis.set_username(user);
    }
    if let Some(password) = password {
        redis = redis.set_password(password.as_str());
    }
    info.set_redis_settings(redis)
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("allow_plaintext", &self.allow_plaintext)
            .field("allow_unauthenticated", &self.allow_unauthenticated)
            .field("allow_eviction", &self.allow_eviction)
            .field("replicas_required", &self.replicas_required)
            .finish_non_exhaustive()
    }
}
