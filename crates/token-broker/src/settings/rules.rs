//! How sign-ins go, and what the pages show.

use std::{collections::BTreeMap, time::Duration};

use hubkey_domain::{refresh_state::RefreshTimes, user_index::OpenLimits};
use hubkey_protocol::internal::SiteInfo;
use hubkey_service::settings::{Reader, Section, value_type};
use url::Url;

use super::words::{COLOUR, is_loopback};
use crate::{
    hub::config::HubConfig,
    use_cases::{Rules, SharedServers},
};

const SHARED_SERVERS: value_type::Enum<SharedServers> = value_type::Enum(&[
    ("allow", SharedServers::Allow),
    ("warn", SharedServers::Warn),
    ("deny", SharedServers::Deny),
]);

/// A wake-up reaches a poll at once, and after a gap in the subscription everybody looks again (ADR 54): this is only for
/// what nobody thought of. 10,000 polls that read often would burn a third of a core.
const POLL_SAFETY: Duration = Duration::from_secs(30);
/// A broker that died in a refresh wakes nobody.
const REFRESH_SAFETY: Duration = Duration::from_secs(2);

/// callback-server as browsers see it. Plain http works on loopback only: elsewhere browsers drop the cookies and headers
/// that every guard rests on.
pub(super) fn read_public_url(reader: &Reader) -> Option<String> {
    let section = reader.root();
    let url = section.required(
        "public_url",
        &value_type::WEB_URL,
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
    let sign_in = reader.section("sign_in");
    let lifetimes = read_lifetimes(reader, &sign_in);
    let open = read_open_limits(&sign_in);
    let shared_servers = sign_in.or(
        "shared_servers",
        &SHARED_SERVERS,
        SharedServers::Warn,
        "What to do with servers that other people may enter.",
    );
    let site = read_site(reader, public_url.as_deref(), hub);
    let (public_url, site) = (public_url?, site?);
    Some(Rules {
        shared_origin: site.shared_origin,
        public_url,
        shared_servers,
        sign_in_lifetime: lifetimes.sign_in,
        connection_lifetime: lifetimes.connection,
        renewal: RefreshTimes::default(),
        account_link_lifetime: lifetimes.account_link,
        poll_timeout: lifetimes.poll_timeout,
        poll_recheck_interval: POLL_SAFETY,
        refresh_recheck_interval: REFRESH_SAFETY,
        redelivery: Duration::from_mins(2),
        open,
        site,
    })
}

struct Lifetimes {
    sign_in: Duration,
    poll_timeout: Duration,
    connection: Duration,
    account_link: Duration,
}

fn read_lifetimes(reader: &Reader, sign_in: &Section<'_>) -> Lifetimes {
    let between = |low: u64, high: u64| {
        value_type::DurationType::between(Duration::from_secs(low), Duration::from_secs(high))
    };
    Lifetimes {
        sign_in: sign_in.or(
            "lifetime",
            &between(30, 3600),
            Duration::from_mins(10),
            "How long a sign-in, its link and its pages are good.",
        ),
        poll_timeout: sign_in.or(
            "poll_timeout",
            &between(1, 26),
            Duration::from_secs(25),
            "How long one poll waits.",
        ),
        connection: reader.section("connections").or(
            "lifetime",
            &between(60, 30 * 86_400),
            Duration::from_hours(12),
            "How long a connection lives without a kernel that uses it.",
        ),
        account_link: reader.section("account_links").or(
            "lifetime",
            &between(3600, 10 * 365 * 86_400),
            Duration::from_hours(400 * 24),
            "How long it is remembered which account belongs to which hub user.",
        ),
    }
}

fn read_open_limits(sign_in: &Section<'_>) -> OpenLimits {
    let open = sign_in.or(
        "max_pending",
        &value_type::Number::between(1, 1000),
        10,
        "How many sign-ins one hub user may have open at once.",
    );
    let per_minute = sign_in.or(
        "max_per_minute",
        &value_type::Number::between(1, 10_000),
        30,
        "How many sign-ins one hub user may open in a minute.",
    );
    OpenLimits {
        open: whole(open),
        per_minute: whole(per_minute),
    }
}

fn read_site(
    reader: &Reader,
    public_url: Option<&str>,
    hub: Option<&HubConfig>,
) -> Option<SiteInfo> {
    let section = reader.section("site");
    let name = section.optional(
        "hub_name",
        &value_type::TEXT,
        "The hub's name in the header of each page; its host by default.",
    );
    let accent_color = section.optional("accent_color", &COLOUR, "The colour of the main button.");
    let support_url = section.optional(
        "support_url",
        &value_type::WEB_URL,
        "Where people find help.",
    );
    let (public_url, hub) = (public_url?, hub?);
    let host = hub.public_url.host_str().unwrap_or_default().to_owned();
    let shared_origin =
        Url::parse(public_url).is_ok_and(|url| url.origin() == hub.public_url.origin());
    Some(SiteInfo {
        hub_name: name.unwrap_or(host),
        hub_url: hub.public_url.to_string(),
        accent_color,
        support_url: support_url.map(Into::into),
        public_url: public_url.to_owned(),
        shared_origin,
        // The providers have them: `Catalog::site` adds them.
        key_sets: BTreeMap::new(),
    })
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
