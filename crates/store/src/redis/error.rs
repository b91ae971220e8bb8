//! Why a Redis is not taken at start.

/// Why a Redis was not taken at start.
#[derive(Debug, thiserror::Error)]
pub enum RedisOpenError {
    /// The address, or what belongs to it, is of no use.
    #[error("the address of Redis cannot be used")]
    Address(#[source] redis::RedisError),
    /// It is not safe to keep secrets there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It does not answer.
    #[error("Redis does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a Redis is not safe enough.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Whoever is on the way can read and change what goes there.
    #[error(
        "the connection to Redis is not encrypted; use rediss://, or set `redis.allow_plaintext = true`"
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
    /// Nothing can be written there.
    #[error(
        "the Redis at this address is a replica, which takes no writes; name its master, or its sentinels"
    )]
    Replica,
    /// A record may vanish before its time, and what was used up with it.
    #[error(
        "Redis may evict records (maxmemory-policy {policy}); set `maxmemory-policy noeviction`, or `redis.allow_eviction = true`"
    )]
    Eviction {
        /// What it is set to.
        policy: String,
    },
}
