//! A provider behind a relay, which others know by the relay's address.

use std::net::SocketAddr;

use super::HostileProvider;

impl HostileProvider {
    /// As [`Self::start`], with this origin as its issuer: whoever goes there is led to [`Self::address`].
    pub async fn start_behind(issuer: &str) -> anyhow::Result<Self> {
        let mut provider = Self::start().await?;
        issuer.clone_into(&mut provider.state().issuer);
        provider.alias = Some(issuer.to_owned());
        Ok(provider)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
