//! How a stack is to be set up.

/// The provider of most tests: audience `lab-api`, confidential client, scope `projects:read`.
pub const LAB_API: &str = "lab-api";
/// A second provider: audience `data-api`, public client, scope `data:read`.
pub const DATA_API: &str = "data-api";

/// How a stack is to be set up.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Whether callback-server is a path on the hub's origin, behind the hub's proxy. By default it has its own.
    pub shared_origin: bool,
    /// Whether the broker keeps its state in its own memory, without Redis.
    pub without_redis: bool,
    /// Whether kernels reach the broker, and the broker Redis, over TLS: each with an authority that only this stack
    /// knows.
    pub tls: bool,
    /// Which log lines both servers write; `info` where empty.
    pub log: String,
    /// More lines at the top of the broker's settings file.
    pub broker_settings: String,
    /// More lines at the end of the broker's settings file: tables, providers.
    pub more_broker_settings: String,
    /// More lines of the hub's configuration.
    pub hub_config: String,
    /// Features of Keycloak that are off by default, with commas.
    pub keycloak_features: String,
    /// Variables in the environment of both servers.
    pub environment: Vec<(String, String)>,
}

impl StackOptions {
    pub(super) fn log_filter(&self) -> &str {
        if self.log.is_empty() {
            "info"
        } else {
            &self.log
        }
    }
}
