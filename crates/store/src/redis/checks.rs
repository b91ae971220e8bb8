//! What a Redis must be before secrets, even sealed ones, go there. A danger that the operator takes is logged.

use std::net::IpAddr;

use redis::{Client, ConnectionAddr, ConnectionInfo};

use super::{
    error::{RedisOpenError, Refusal},
    settings::RedisSettings,
    topology::Topology,
};

impl RedisSettings {
    /// Judges the place, without going there.
    pub fn check(&self) -> Result<(), RedisOpenError> {
        match &self.topology {
            Topology::Server(url) => Ok(address(&self.server(url)?, self)?),
            Topology::Sentinel(sentinel) => {
                for at in &sentinel.addresses {
                    channel(&self.sentinel(sentinel, at)?, self)?;
                    // The master is reached as they are, and judged again by the address that they name.
                    address(&self.node(at)?, self)?;
                }
                Ok(())
            }
            Topology::Cluster(nodes) => {
                for at in nodes {
                    address(&self.node(at)?, self)?;
                }
                Ok(())
            }
        }
    }
}

/// Judges the address, before anything is sent there.
pub(super) fn address(client: &Client, settings: &RedisSettings) -> Result<(), Refusal> {
    if let Some(info) = channel(client, settings)?
        && info.redis_settings().password().is_none()
    {
        accept(settings.allow_unauthenticated, Refusal::Unauthenticated)?;
    }
    Ok(())
}

/// Judges the way there. What is on another machine is returned.
pub(super) fn channel<'a>(
    client: &'a Client,
    settings: &RedisSettings,
) -> Result<Option<&'a ConnectionInfo>, Refusal> {
    let info = client.get_connection_info();
    let (host, encrypted) = match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => return Err(Refusal::UncheckedCertificate),
        ConnectionAddr::TcpTls { host, .. } => (host, true),
        ConnectionAddr::Tcp(host, _) => (host, false),
        _ => return Ok(None),
    };
    if is_loopback(host) {
        return Ok(None);
    }
    if !encrypted {
        accept(settings.allow_plaintext, Refusal::Plaintext)?;
    }
    Ok(Some(info))
}

/// Judges the server by its `INFO`, which is open to more users and services than `CONFIG GET`.
pub(super) fn server(info: &str, settings: &RedisSettings) -> Result<(), Refusal> {
    if !is_master(info) {
        return Err(Refusal::Replica);
    }
    let policy = field(info, "maxmemory_policy").unwrap_or("unknown");
    if policy != "noeviction" {
        let policy = policy.to_owned();
        accept(settings.allow_eviction, Refusal::Eviction { policy })?;
    }
    Ok(())
}

/// Whether a server takes writes, by its `INFO`. One that tells nothing of it is believed.
pub(super) fn is_master(info: &str) -> bool {
    field(info, "role").is_none_or(|role| role == "master")
}

/// What is worth a word of a server whose master may change.
pub(super) fn warn_of_failover(info: &str) {
    if field(info, "min_slaves_good_slaves").is_none() {
        tracing::warn!(
            "this Redis takes writes without any replica (min-replicas-to-write 0): what a master takes that is cut off \
             from its sentinels gets lost"
        );
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn accept(allowed: bool, refusal: Refusal) -> Result<(), Refusal> {
    if allowed {
        tracing::warn!(danger = %refusal, "a danger of this Redis is accepted by the settings");
        Ok(())
    } else {
        Err(refusal)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisOpenError;

    fn judge(url: &str, change: fn(&mut RedisSettings)) -> Result<(), Refusal> {
        let mut settings = RedisSettings::new(url);
        change(&mut settings);
        match settings.check() {
            Err(RedisOpenError::Refused(refusal)) => Err(refusal),
            other => {
                other.unwrap();
                Ok(())
            }
        }
    }

    #[test]
    fn security_s7_addresses_are_judged_before_anything_is_sent() {
        for url in [
            "redis://127.0.0.1",
            "redis://[::1]:6379",
            "redis://localhost:1",
            "unix:///run/redis.sock",
            "rediss://:secret@redis.example",
        ] {
            assert!(judge(url, |_| {}).is_ok(), "{url}");
        }
        for url in [
            "redis://:secret@redis.example",
            "redis://:secret@10.0.0.1",
            "redis://:secret@localhost.example",
            "redis://:secret@127.0.0.1.example",
        ] {
            assert!(
                matches!(judge(url, |_| {}), Err(Refusal::Plaintext)),
                "{url}"
            );
            assert!(judge(url, |settings| settings.allow_plaintext = true).is_ok());
        }
        let url = "rediss://redis.example";
        assert!(matches!(judge(url, |_| {}), Err(Refusal::Unauthenticated)));
        assert!(judge(url, |settings| settings.allow_unauthenticated = true).is_ok());
        assert!(
            judge(url, |settings| settings.password =
                Some("secret".to_owned().into()))
            .is_ok()
        );
    }
}
