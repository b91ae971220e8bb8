//! The state behind the routes.

use std::{net::IpAddr, sync::Arc};

use hubkey_broker_client::BrokerClient;
use hubkey_protocol::secret::SharedSecret;
use hubkey_service::http::{ClientAddr, Limits};
use time::OffsetDateTime;
use tokio::sync::watch;
use url::Url;

use crate::{
    cookies::FlowCookies,
    pages::Theme,
    site::{KeySets, SiteState, SiteWatcher},
};

/// What the routes are made of.
#[derive(Debug)]
pub struct Parts {
    /// How to reach the broker.
    pub broker: BrokerClient<SharedSecret>,
    /// The URL by which browsers reach the routes; its path is the prefix of every route.
    pub public_url: Url,
    /// What time it is, for "2 minutes ago".
    pub now: fn() -> OffsetDateTime,
    /// Those of the listener: they say which addresses are proxies'.
    pub limits: Limits,
}

/// The state behind the routes. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: BrokerClient<SharedSecret>,
    origin: String,
    prefix: String,
    cookies: FlowCookies,
    now: fn() -> OffsetDateTime,
    limits: Limits,
    site: watch::Receiver<SiteState>,
}

impl App {
    /// Puts the parts together. The watcher has to run for the pages to learn the hub's name.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, SiteWatcher) {
        let prefix = parts.public_url.path().trim_end_matches('/').to_owned();
        let origin = parts.public_url.origin().ascii_serialization();
        let (watcher, site) = SiteWatcher::new(parts.broker.clone(), parts.public_url);
        let cookies = FlowCookies::below(&prefix);
        let app = Self(Arc::new(Inner {
            broker: parts.broker,
            origin,
            prefix,
            cookies,
            now: parts.now,
            limits: parts.limits,
            site,
        }));
        (app, watcher)
    }

    pub(crate) fn broker(&self) -> &BrokerClient<SharedSecret> {
        &self.0.broker
    }

    /// The origin by which browsers reach us, as they write it in `Origin`.
    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The path of the public URL, without a trailing slash.
    pub(crate) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    pub(crate) fn cookies(&self) -> &FlowCookies {
        &self.0.cookies
    }

    /// What a browser is counted by, where its address says anything.
    pub(crate) fn rate_limit_key(&self, client: ClientAddr) -> Option<IpAddr> {
        client.rate_limit_key(&self.0.limits)
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        (self.0.now)()
    }

    pub(crate) fn theme(&self) -> Arc<Theme> {
        self.0.site.borrow().theme()
    }

    pub(crate) fn key_sets(&self) -> Option<Arc<KeySets>> {
        self.0.site.borrow().key_sets()
    }
}
