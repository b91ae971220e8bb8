//! The state behind the routes, and how the router is put together.

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::rand;
use axum::{Router, middleware};
use hubkey_broker_client::BrokerClient;
use hubkey_protocol::{Reference, secret::ChannelSecret};
use hubkey_service::http::{FarTooLong, Limits, Peer};
use time::OffsetDateTime;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use url::Url;

use crate::{
    answer,
    cookies::FlowCookies,
    headers,
    pages::Look,
    routes,
    site::{KeySets, SiteKeeper, SiteState},
};

/// What the routes are made of.
#[derive(Debug)]
pub struct Parts {
    /// How to reach the broker.
    pub broker: BrokerClient<ChannelSecret>,
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
    broker: BrokerClient<ChannelSecret>,
    origin: String,
    prefix: String,
    cookies: FlowCookies,
    now: fn() -> OffsetDateTime,
    limits: Limits,
    site: watch::Receiver<SiteState>,
}

impl App {
    /// Puts the parts together. The keeper has to run for the pages to learn the hub's name.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, SiteKeeper) {
        let prefix = parts.public_url.path().trim_end_matches('/').to_owned();
        let origin = parts.public_url.origin().ascii_serialization();
        let (keeper, site) = SiteKeeper::new(parts.broker.clone(), parts.public_url);
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
        (app, keeper)
    }

    /// All routes, with the gate before those for browsers and the headers of the module `headers` on every answer.
    pub fn router(&self) -> Router {
        let app = self.clone();
        routes::table(&self.0.prefix)
            .layer(middleware::from_fn_with_state(self.clone(), routes::gate))
            // No browser comes there, so the gate would only be in the way.
            .merge(routes::from_providers(&self.0.prefix))
            .layer(middleware::from_fn_with_state(
                self.clone(),
                routes::too_long,
            ))
            .layer(CatchPanicLayer::custom(move |_| answer::broken(&app)))
            .layer(middleware::map_response(headers::complete))
            .with_state(self.clone())
    }

    /// The page for a head that is too large to be read, with the headers of every answer.
    #[must_use]
    pub fn far_too_long(&self) -> FarTooLong {
        let app = self.clone();
        FarTooLong::new(move || answer::far_too_long(&app))
    }

    pub(crate) fn broker(&self) -> &BrokerClient<ChannelSecret> {
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
    pub(crate) fn counted(&self, peer: Peer) -> Option<IpAddr> {
        peer.counted(&self.0.limits)
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        (self.0.now)()
    }

    pub(crate) fn look(&self) -> Arc<Look> {
        self.0.site.borrow().look()
    }

    pub(crate) fn key_sets(&self) -> Option<Arc<KeySets>> {
        self.0.site.borrow().key_sets()
    }
}

/// A reference of our own, for what never reaches the broker.
pub(crate) fn new_reference() -> Reference {
    let mut bytes = [0; 8];
    // A reference protects nothing: without random bytes the page still has one.
    let _ = rand::fill(&mut bytes);
    Reference::from_random(bytes)
}
