//! Where Redis is: one server, the master that sentinels name, or a cluster.

use std::fmt;

use redis::ConnectionAddr;
use url::Url;
use zeroize::Zeroizing;

/// Where Redis is.
#[derive(Clone)]
pub enum Topology {
    /// `rediss://[user@]host:port[/database]`, or `redis://` on loopback, or `unix://path`. May hold a password.
    Server(Zeroizing<String>),
    /// The master of this name, as these sentinels know it.
    Sentinel(SentinelSettings),
    /// A cluster that is found through these of its nodes.
    Cluster(Vec<Address>),
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(_) => f.write_str("Server"),
            Self::Sentinel(sentinel) => sentinel.fmt(f),
            Self::Cluster(nodes) => f.debug_tuple("Cluster").field(nodes).finish(),
        }
    }
}

/// The sentinels, and how they are asked.
#[derive(Clone)]
pub struct SentinelSettings {
    /// Where they are; their Redis speaks TLS exactly if they do.
    pub addresses: Vec<Address>,
    /// The name of the master.
    pub master: String,
    /// The user that asks them, where they have users.
    pub user: Option<String>,
    /// Its password, where they ask for one.
    pub password: Option<Zeroizing<String>>,
}

impl fmt::Debug for SentinelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelSettings")
            .field("addresses", &self.addresses)
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

/// `rediss://host:port`, or `redis://host:port` for one without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    tls: bool,
}

impl Address {
    /// Reads an address; the port is part of it, and neither user nor path is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        let tls = match url.scheme() {
            "rediss" => true,
            "redis" => false,
            _ => return None,
        };
        let host = url.host_str().filter(|host| !host.is_empty())?;
        is_plain.then_some(())?;
        Some(Self {
            host: unbracketed(host).to_owned(),
            port: url.port()?,
            tls,
        })
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls
    }

    /// Another one that is reached in the same way.
    pub(super) fn beside(&self, host: &str, port: u16) -> Self {
        Self {
            host: unbracketed(host).to_owned(),
            port,
            tls: self.tls,
        }
    }

    pub(super) fn for_connection(&self) -> ConnectionAddr {
        if self.tls {
            ConnectionAddr::TcpTls {
                host: self.host.clone(),
                port: self.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(self.host.clone(), self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

fn unbracketed(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_a_scheme_a_host_and_a_port() {
        for text in [
            "rediss://redis.example:26379",
            "redis://127.0.0.1:1",
            "redis://[::1]:26379",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "redis.example:26379",
            "redis://redis.example",
            "redis://:26379",
            "http://redis.example:1",
            "rediss://user@redis.example:1",
            "rediss://:secret@redis.example:1",
            "rediss://redis.example:1/0",
            "rediss://redis.example:1#insecure",
            "unix:///run/redis.sock",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
