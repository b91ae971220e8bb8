//! The broker's settings, a file a section.

mod authorities;
mod exchange;
mod hub;
mod keys;
mod listeners;
mod outbound_proxy;
mod provider;
mod provider_client;
mod provider_endpoints;
mod provider_key;
mod redis;
mod rules;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;

use hubkey_domain::provider::ProviderConfig;
use hubkey_service::settings::{self, ConfigErrors, LogSettings, OpsSettings, Reader};
use hubkey_store::redis::RedisSettings;

use crate::{hub::config::HubConfig, use_cases::Rules};

pub use hubkey_service::settings::FILE_VARIABLE;
pub use keys::KeyFiles;
pub use listeners::{InternalSettings, KernelSettings};

/// Everything that the operator set.
#[derive(Debug)]
pub struct Settings {
    /// The kernel listener.
    pub kernel: KernelSettings,
    /// The listener for callback-server.
    pub internal: InternalSettings,
    /// The ops listener.
    pub ops: OpsSettings,
    /// Log and audit stream.
    pub log: LogSettings,
    /// The Hub.
    pub hub: HubConfig,
    /// Where the keys are; needed with Redis.
    pub keys: Option<KeyFiles>,
    /// Where Redis is; the embedded memory store where absent.
    pub redis: Option<RedisSettings>,
    /// How sign-ins go.
    pub rules: Rules,
    /// In the order of their ids.
    pub providers: Vec<ProviderConfig>,
}

impl Settings {
    /// Reads the file, if there is one, and the process environment. Every mistake is told at once.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        settings::load(file, Self::read)
    }

    /// Reads from anywhere. `None` where something is missing; the reader knows what.
    pub fn read(reader: &Reader) -> Option<Self> {
        let public_url = rules::read_public_url(reader);
        let kernel = listeners::read_kernel(reader);
        let internal = listeners::read_internal(reader);
        let ops = settings::read_ops(reader, 9091);
        let log = settings::read_log(reader);
        let hub = hub::read(reader, public_url.as_deref());
        let redis = redis::read(reader);
        let keys = keys::read(reader, redis.is_some());
        let providers = provider::read_all(reader);
        let rules = rules::read(reader, public_url, hub.as_ref());
        Some(Self {
            kernel: kernel?,
            internal: internal?,
            ops,
            log,
            hub: hub?,
            keys,
            redis,
            rules: rules?,
            providers,
        })
    }
}

/// The reference of all settings, as Markdown.
#[must_use]
pub fn reference() -> String {
    settings::reference(Settings::read)
}
