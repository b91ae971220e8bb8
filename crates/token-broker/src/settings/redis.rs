//! Where Redis is.

use hubkey_service::settings::{Reader, Section, value_type};
use hubkey_store::redis::{
    Address, RedisOpenError, RedisSettings, Refusal, SentinelSettings, Topology,
};
use zeroize::Zeroizing;

use super::authorities::{INSTEAD, read_ca};

/// Where a sentinel is, or a node of a cluster.
const ADDRESS: value_type::Parsed<Address> = value_type::Parsed::with(
    "an address such as rediss://host:6379, with its port and without a user",
    Address::parse,
    ToString::to_string,
);

pub(super) fn read(reader: &Reader) -> Option<RedisSettings> {
    let section = reader.section("redis");
    let place = read_place(&section);
    let user = section.optional(
        "user",
        &value_type::TEXT,
        "The user, where the address names none.",
    );
    let password = section.optional_secret(
        "password",
        Zeroizing::new,
        "The password, where the address holds none.",
    );
    let ca_pem = read_ca(&section, INSTEAD);
    let switch = |key: &str, about: &str| section.or(key, &value_type::BOOL, false, about);
    let allow_plaintext = switch(
        "allow_plaintext",
        "Whether Redis may be on another machine without TLS.",
    );
    let allow_unauthenticated = switch(
        "allow_unauthenticated",
        "Whether Redis on another machine may ask for no password.",
    );
    let allow_eviction = switch(
        "allow_eviction",
        "Whether Redis may throw records away when its memory is full.",
    );
    let replicas_required = read_replicas(&section, place.as_ref().map(|(key, _)| *key));
    let (place_key, place) = place?;
    let settings = RedisSettings {
        topology: place,
        user,
        password,
        ca_pem,
        allow_plaintext,
        allow_unauthenticated,
        allow_eviction,
        replicas_required,
    };
    if let Err(error) = settings.check() {
        let (key, sentence) = mistake(&error, place_key);
        section.fail(key, &sentence);
    }
    Some(settings)
}

fn read_replicas(section: &Section<'_>, place: Option<&str>) -> u32 {
    let replicas = section.or(
        "replicas_required",
        &value_type::Number::between(0, 16),
        0,
        "How many replicas have to hold what was written before it counts.",
    );
    if replicas > 0 && place == Some(NODES) {
        section.fail(
            "replicas_required",
            "remove it: it does nothing with a cluster; set `min-replicas-to-write` at its nodes.",
        );
    }
    u32::try_from(replicas).unwrap_or_default()
}

const URL: &str = "url_file";
const SENTINELS: &str = "sentinel.addresses";
const NODES: &str = "cluster.nodes";

/// The one place that is set, and by which key.
fn read_place(section: &Section<'_>) -> Option<(&'static str, Topology)> {
    let url = section.optional_secret(
        "url",
        Zeroizing::new,
        "Where Redis is: `rediss://user@host:port`; the embedded memory store where no place is set.",
    );
    let sentinel = read_sentinel(section);
    let cluster = read_cluster(section);
    let places = [
        url.map(|url| (URL, Topology::Server(url))),
        sentinel.map(|sentinel| (SENTINELS, Topology::Sentinel(sentinel))),
        cluster.map(|nodes| (NODES, Topology::Cluster(nodes))),
    ];
    let mut places = places.into_iter().flatten();
    let first = places.next();
    if let Some((kept, _)) = &first {
        for (key, _) in places {
            let kept = section.dotted(kept);
            section.fail(key, &format!("`{kept}` is set as well; keep one of them."));
        }
    }
    first
}

fn read_cluster(redis: &Section<'_>) -> Option<Vec<Address>> {
    let section = redis.section("cluster");
    let nodes = section.list(
        "nodes",
        &ADDRESS,
        "Some nodes of a Redis Cluster, in place of `redis.url_file`; the others are found through them.",
    );
    check_alike(&section, "nodes", &nodes);
    (!nodes.is_empty()).then_some(nodes)
}

fn check_alike(section: &Section<'_>, key: &str, addresses: &[Address]) {
    let encrypted = addresses
        .iter()
        .filter(|address| address.is_encrypted())
        .count();
    if (1..addresses.len()).contains(&encrypted) {
        section.fail(key, "write all of them with rediss://.");
    }
}

fn read_sentinel(redis: &Section<'_>) -> Option<SentinelSettings> {
    let section = redis.section("sentinel");
    let addresses = section.list(
        "addresses",
        &ADDRESS,
        "Where the sentinels are, in place of `redis.url_file`; the master speaks TLS exactly if they do.",
    );
    let master = section.optional(
        "master",
        &value_type::TEXT,
        "The name of the master, as the sentinels know it.",
    );
    let user = section.optional(
        "user",
        &value_type::TEXT,
        "The user that asks the sentinels.",
    );
    let password = section.optional_secret(
        "password",
        Zeroizing::new,
        "The password that the sentinels ask for.",
    );
    if addresses.is_empty() {
        if master.is_some() || password.is_some() || user.is_some() {
            section.fail(
                "addresses",
                "list the sentinels, such as rediss://host:26379.",
            );
        }
        return None;
    }
    check_alike(&section, "addresses", &addresses);
    if master.is_none() {
        section.fail("master", "name the master as the sentinels know it.");
    }
    Some(SentinelSettings {
        addresses,
        master: master?,
        user,
        password,
    })
}

fn mistake(error: &RedisOpenError, place: &'static str) -> (&'static str, String) {
    match error {
        RedisOpenError::Refused(refusal @ Refusal::Unauthenticated) => {
            ("password_file", format!("{refusal}."))
        }
        RedisOpenError::Refused(refusal) => (place, format!("{refusal}.")),
        // The cause may hold the address, and the address the password.
        RedisOpenError::Address(_) | RedisOpenError::Unreachable(_) if place == URL => (
            place,
            "write `rediss://user@host:port` into it, and PEM certificates into `redis.ca_file` if that is set."
                .to_owned(),
        ),
        RedisOpenError::Address(_) | RedisOpenError::Unreachable(_) => {
            ("ca_file", "put PEM certificates into it.".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn mistakes(variables: Variables) -> String {
        let named =
            |(name, value): &(&str, &str)| (format!("HUBKEY_REDIS_{name}"), (*value).to_owned());
        let reader = Reader::open(None, variables.iter().map(named).collect());
        read(&reader);
        let told = reader.finish().err();
        told.map(|mistakes| mistakes.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_place_is_a_url_or_sentinels_or_a_cluster() {
        let sentinels = "rediss://a.example:26379, rediss://b.example:26379";
        for place in [
            &[("URL", "rediss://:secret@redis.example:6379")][..],
            &[
                ("SENTINEL_ADDRESSES", sentinels),
                ("SENTINEL_MASTER", "hubkey"),
                ("PASSWORD", "secret"),
                ("REPLICAS_REQUIRED", "1"),
            ],
            &[
                ("CLUSTER_NODES", "rediss://a.example:6379"),
                ("PASSWORD", "secret"),
            ],
            &[("CLUSTER_NODES", "redis://127.0.0.1:6379")],
            &[],
        ] {
            assert_eq!(mistakes(place), "");
        }
    }

    #[test]
    fn every_mistake_of_a_place_is_told_at_once_in_a_sentence() {
        let url = ("URL", "rediss://:secret@redis.example:6379");
        let nodes = ("CLUSTER_NODES", "rediss://a.example:6379");
        let sentinels = ("SENTINEL_ADDRESSES", "rediss://a.example:26379");
        let (master, password) = (("SENTINEL_MASTER", "hubkey"), ("PASSWORD", "secret"));
        let plain = ("SENTINEL_ADDRESSES", "redis://a.example:26379");
        let mixed = (
            "CLUSTER_NODES",
            "redis://127.0.0.1:6379,rediss://a.example:6379",
        );
        let cases: [(Variables, &[&str]); 8] = [
            (
                &[url, nodes],
                &["`redis.cluster.nodes`: `redis.url_file` is set as well"],
            ),
            (
                &[url, nodes, sentinels, master],
                &[
                    "`redis.cluster.nodes`: `redis.url_file` is set as well",
                    "`redis.sentinel.addresses`: `redis.url_file` is set as well",
                ],
            ),
            (
                &[sentinels, password],
                &["`redis.sentinel.master`: name the master"],
            ),
            (
                &[master],
                &["`redis.sentinel.addresses`: list the sentinels"],
            ),
            (&[plain, master, password], &["is not encrypted"]),
            (&[sentinels, master], &["Redis asks for no password"]),
            (
                &[mixed, password],
                &["`redis.cluster.nodes`: write all of them with rediss://"],
            ),
            (
                &[nodes, password, ("REPLICAS_REQUIRED", "1")],
                &["`redis.replicas_required`: remove it"],
            ),
        ];
        for (variables, sentences) in cases {
            let told = mistakes(variables);
            for sentence in sentences {
                assert!(told.contains(sentence), "{variables:?}: {told}");
            }
            assert!(!told.contains("secret@"), "{told}");
        }
    }
}
