//! What a Redis must be before secrets, even sealed ones, go there. A danger that the operator takes is logged.

use std::net::IpAddr;

use redis::{AsyncConnectionConfig, Client, ConnectionAddr};

use super::{RedisOpenError, RedisSettings, START_PATIENCE, answer_within};

/// Why a Redis is not safe enough.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Whoever is on the way can read and change what goes there.
    #[error(
        "the connection to Redis is not encrypted; use rediss://, or set `redis.plaintext = true`"
    )]
    Plaintext,
    /// Whoever answers is believed.
    #[error("the certificate of Redis would not be checked; remove `#insecure` from its address")]
    UncheckedCertificate,
    /// Whoever reaches it may do anything.
    #[error(
        "Redis asks for no password; make a user for hubkey, or set `redis.allow_unauthenticated = true`"
    )]
    Unauthenticated,
    /// A record may vanish before its time, and what was used up with it.
    #[error(
        "Redis may evict records (maxmemory-policy {policy}); set `maxmemory-policy noeviction`, or `redis.allow_eviction = true`"
    )]
    Eviction {
        /// What it is set to.
        policy: String,
    },
}

/// Judges the address, before anything is sent there.
pub(super) fn address(client: &Client, settings: &RedisSettings) -> Result<(), Refusal> {
    let info = client.get_connection_info();
    let (host, encrypted) = match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => return Err(Refusal::UncheckedCertificate),
        ConnectionAddr::TcpTls { host, .. } => (host, true),
        ConnectionAddr::Tcp(host, _) => (host, false),
        _ => return Ok(()),
    };
    if is_loopback(host) {
        return Ok(());
    }
    if !encrypted {
        accept(settings.plaintext, Refusal::Plaintext)?;
    }
    if info.redis_settings().password().is_none() {
        accept(settings.allow_unauthenticated, Refusal::Unauthenticated)?;
    }
    Ok(())
}

/// Judges the server. `INFO` is open to more users and services than `CONFIG GET`.
pub(super) async fn server(
    client: &Client,
    settings: &RedisSettings,
) -> Result<(), RedisOpenError> {
    let ask = async {
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(START_PATIENCE))
            .set_response_timeout(Some(START_PATIENCE));
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await?;
        let mut command = redis::cmd("INFO");
        command.arg("memory").query_async(&mut connection).await
    };
    let info: String = answer_within(START_PATIENCE, ask)
        .await
        .map_err(|error| RedisOpenError::Unreachable(error.into()))?;
    let policy = info
        .lines()
        .find_map(|line| line.strip_prefix("maxmemory_policy:"))
        .map_or("unknown", str::trim);
    if policy != "noeviction" {
        let policy = policy.to_owned();
        accept(settings.allow_eviction, Refusal::Eviction { policy })?;
    }
    Ok(())
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

    fn judge(url: &str, change: fn(&mut RedisSettings)) -> Result<(), Refusal> {
        let mut settings = RedisSettings::new(url);
        change(&mut settings);
        address(&settings.client().unwrap(), &settings)
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
            assert!(judge(url, |settings| settings.plaintext = true).is_ok());
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
