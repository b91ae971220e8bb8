//! How sign-ins go, and what the pages show.

use std::time::Duration;

use hubkey_protocol::internal::Site;
use hubkey_service::settings::{Reader, kind};
use url::Url;

use super::words::{COLOUR, is_loopback};
use crate::{
    domain::user_index::OpenLimits,
    flows::{Rules, SharedServers},
    hub::config::HubConfig,
};

const SHARED_SERVERS: kind::Word<SharedServers> = kind::Word(&[
    ("allow", SharedServers::Allow),
    ("warn", SharedServers::Warn),
    ("deny", SharedServers::Deny),
]);

/// callback-server as browsers see it. Plain http works on loopback only: elsewhere browsers drop the cookies and headers
/// that every guard rests on.
pub(super) fn read_public_url(reader: &Reader) -> Option<String> {
    let section = reader.root();
    let url = section.required(
        "public_url",
        &kind::WEB_URL,
        "callback-server as browsers see it.",
    )?;
    if url.scheme() == "http" && !is_loopback(&url) {
        section.fail(
            "public_url",
            "use https; over plain http browsers drop the cookies that sign-ins need.",
        );
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

pub(super) fn read(
    reader: &Reader,
    public_url: Option<String>,
    hub: Option<&HubConfig>,
) -> Option<Rules> {
    let lives = reader.section("sign_in");
    let between = |low: u64, high: u64| {
        kind::Time::between(Duration::from_secs(low), Duration::from_secs(high))
    };
    let sign_in_life = lives.or(
        "life",
        &between(30, 3600),
        Duration::from_secs(600),
        "How long a sign-in, its link and its pages are good.",
    );
    let poll_hold = lives.or(
        "poll_hold",
        &between(1, 28),
        Duration::from_secs(25),
        "How long one poll waits.",
    );
    let open = lives.or(
        "max_open",
        &kind::Number::between(1, 1000),
        10,
        "How many sign-ins one hub user may have open at once.",
    );
    let per_minute = lives.or(
        "max_per_minute",
        &kind::Number::between(1, 10_000),
        30,
        "How many sign-ins one hub user may open in a minute.",
    );
    let shared_servers = lives.or(
        "shared_servers",
        &SHARED_SERVERS,
        SharedServers::Warn,
        "What to do with servers that other people may enter.",
    );
    let connection_life = reader.section("connections").or(
        "life",
        &between(60, 30 * 86_400),
        Duration::from_secs(12 * 3600),
        "How long a connection lives.",
    );
    let pin_life = reader.section("pins").or(
        "life",
        &between(3600, 10 * 365 * 86_400),
        Duration::from_secs(400 * 86_400),
        "How long it is remembered which account belongs to which hub user.",
    );
    let site = read_site(reader, public_url.as_deref(), hub);
    let (public_url, site) = (public_url?, site?);
    Some(Rules {
        shared_origin: site.shared_origin,
        public_url,
        shared_servers,
        sign_in_life,
        connection_life,
        pin_life,
        poll_hold,
        poll_safety: Duration::from_secs(2),
        redelivery: Duration::from_secs(120),
        open: OpenLimits {
            open: whole(open),
            per_minute: whole(per_minute),
        },
        site,
    })
}

fn read_site(reader: &Reader, public_url: Option<&str>, hub: Option<&HubConfig>) -> Option<Site> {
    let section = reader.section("site");
    let name = section.optional(
        "hub_name",
        &kind::TEXT,
        "The hub's name in the header of each page; its host by default.",
    );
    let accent = section.optional("accent", &COLOUR, "The colour of the main button.");
    let support_url = section.optional("support_url", &kind::WEB_URL, "Where people find help.");
    let (public_url, hub) = (public_url?, hub?);
    let host = hub.public_url.host_str().unwrap_or_default().to_owned();
    let shared_origin =
        Url::parse(public_url).is_ok_and(|url| url.origin() == hub.public_url.origin());
    Some(Site {
        hub_name: name.unwrap_or(host),
        hub_url: hub.public_url.to_string(),
        accent,
        support_url: support_url.map(Into::into),
        public_url: public_url.to_owned(),
        shared_origin,
    })
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
