//! Where a provider's calls may go. A provider's metadata names URLs, and names of hosts change their addresses: what
//! counts is the address that a connection is made to. Through a proxy that address is the proxy's affair: there, names
//! count.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use hubkey_domain::provider::{OutboundRules, ProviderConfig};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A URL or an address that hubkey does not go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hubkey does not go there: {0}")]
pub(crate) struct EgressDenied(pub(crate) &'static str);

/// What may be reached on behalf of one provider.
#[derive(Debug)]
pub(crate) struct EgressPolicy {
    allow_plaintext: bool,
    private_hosts: Vec<String>,
    issuer_is_loopback: bool,
    /// Where a proxy leads there: the hosts that it is asked for.
    through_proxy: Option<Vec<String>>,
}

impl EgressPolicy {
    /// What the settings say about one provider.
    pub(crate) fn of(config: &ProviderConfig, issuer: &Url) -> Self {
        let mut policy = Self::new(&config.outbound, issuer);
        if let Some(hosts) = &mut policy.through_proxy {
            let called = config.endpoints.urls();
            let called = called.iter().filter(|(key, _)| *key != FOR_BROWSERS);
            hosts.extend(called.filter_map(|(_, url)| url.host_str().map(plain)));
        }
        policy
    }

    pub(crate) fn new(rules: &OutboundRules, issuer: &Url) -> Self {
        let hosts = || {
            let named = rules.allowed_endpoint_hosts.iter().map(String::as_str);
            named.chain(issuer.host_str()).map(plain).collect()
        };
        Self {
            through_proxy: rules.proxy.as_ref().map(|_| hosts()),
            allow_plaintext: rules.allow_plaintext,
            private_hosts: rules
                .allow_private_hosts
                .iter()
                .map(|host| plain(host))
                .collect(),
            issuer_is_loopback: is_loopback(issuer),
        }
    }

    /// Judges what can be judged without asking for an address: scheme, credentials, and addresses written as such.
    /// `url` has already turned every way of writing an IPv4 address into one.
    pub(crate) fn check(&self, url: &Url) -> Result<(), EgressDenied> {
        self.check_form(url)?;
        if let Some(hosts) = &self.through_proxy {
            return check_name(url, hosts);
        }
        let host = url.host_str().unwrap_or_default();
        let admitted = match url.host() {
            Some(Host::Ipv4(address)) => self.admits(host, address.into()),
            Some(Host::Ipv6(address)) => self.admits(host, address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        admitted.then_some(()).ok_or(EgressDenied("address"))
    }

    /// As [`Self::check`], for a URL that only a browser goes to.
    pub(crate) fn check_form(&self, url: &Url) -> Result<(), EgressDenied> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_plaintext || is_loopback(url) => {}
            _ => return Err(EgressDenied("scheme")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressDenied("credentials in a URL"));
        }
        if url.fragment().is_some() {
            return Err(EgressDenied("fragment"));
        }
        Ok(())
    }

    /// Whether this host may be reached at this address.
    fn admits(&self, host: &str, address: IpAddr) -> bool {
        let host = plain(host);
        if self.private_hosts.contains(&host) {
            return true;
        }
        if is_loopback_name(&host) || address.is_loopback() {
            // A loopback name that leads elsewhere would carry http over a network.
            return self.issuer_is_loopback && is_loopback_name(&host) && address.is_loopback();
        }
        is_public(address)
    }
}

/// The endpoint that only browsers go to.
const FOR_BROWSERS: &str = "authorization_endpoint";

/// Judges what a proxy would be asked for. Nothing looks up an address here, so what is inside is told by its name.
fn check_name(url: &Url, hosts: &[String]) -> Result<(), EgressDenied> {
    if url.scheme() != "https" {
        return Err(EgressDenied("scheme"));
    }
    let Some(Host::Domain(name)) = url.host() else {
        return Err(EgressDenied("address"));
    };
    let name = plain(name);
    if is_inside(&name) {
        return Err(EgressDenied("name"));
    }
    if !hosts.contains(&name) {
        return Err(EgressDenied("host"));
    }
    Ok(())
}

/// Whether a proxy may be asked for what this URL names: https, at a name that is of no machine inside.
#[must_use]
pub fn may_go_through_proxy(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| check_name(url, &[plain(host)]).is_ok())
}

/// Names for use inside (RFC 6761, RFC 6762, RFC 8375, the private domain `internal`), of clusters, and of metadata
/// services. A name without a dot is of no public host.
fn is_inside(name: &str) -> bool {
    const SUFFIXES: [&str; 7] = [
        ".localhost",
        ".local",
        ".localdomain",
        ".internal",
        ".home.arpa",
        ".lan",
        ".svc",
    ];
    // `<service>.<namespace>.svc.<domain of the cluster>`
    let of_a_cluster = name.split('.').nth(2) == Some("svc");
    !name.contains('.')
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || of_a_cluster
        || name == "metadata.goog"
}

/// Whether the URL's host is this machine by name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| is_loopback_name(&plain(host)))
}

fn is_loopback_name(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A host as it is compared: lower case, no root dot, no brackets.
fn plain(host: &str) -> String {
    host.trim_end_matches('.')
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the special-purpose registry (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [100, second, ..] => (64..128).contains(&second),
        [172, second, ..] => (16..32).contains(&second),
        octets => matches!(
            octets,
            [0 | 10 | 127 | 224..=255, ..]
                | [192, 0, 0 | 2, _]
                | [192, 88, 99, _]
                | [192, 168, ..]
                | [169, 254, ..]
                | [198, 18 | 19, ..]
                | [198, 51, 100, _]
                | [203, 0, 113, _]
        ),
    };
    !special
}

/// The global unicast block without what tunnels or documents, and NAT64 of a public address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// A resolver that hands out permitted addresses only. The connection is made to exactly these.
#[derive(Clone)]
pub(super) struct Guarded {
    policy: Arc<EgressPolicy>,
    inner: Arc<dyn Resolve>,
}

impl Guarded {
    pub(super) fn new(policy: Arc<EgressPolicy>, inner: Arc<dyn Resolve>) -> Self {
        Self { policy, inner }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let permitted: Vec<SocketAddr> = inner
                .resolve(name)
                .await?
                .filter(|address| policy.admits(&host, address.ip()))
                .collect();
            if permitted.is_empty() {
                return Err(EgressDenied("address").into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The system's own resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use hubkey_domain::provider::OutboundProxy;

    use super::*;

    fn policy(issuer: &str, private: &[&str]) -> EgressPolicy {
        let rules = OutboundRules {
            allow_private_hosts: private.iter().map(|&host| host.to_owned()).collect(),
            ..OutboundRules::default()
        };
        EgressPolicy::new(&rules, &Url::parse(issuer).unwrap())
    }

    fn permits(policy: &EgressPolicy, url: &str) -> bool {
        policy.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn public_https_is_permitted() {
        let policy = policy("https://op.example", &[]);
        assert!(permits(&policy, "https://op.example/token"));
        assert!(permits(&policy, "https://93.184.216.34/token"));
        assert!(permits(&policy, "https://[2606:4700::1111]/token"));
    }

    #[test]
    fn security_p71_every_spelling_of_a_private_address_is_refused() {
        let policy = policy("https://op.example", &[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "2852039166",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[::ffff:93.184.216.34]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::1]",
            "[100::1]",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
        ] {
            assert!(
                !permits(&policy, &format!("https://{host}/token")),
                "{host}"
            );
        }
    }

    #[test]
    fn security_p71_schemes_credentials_and_fragments_are_refused() {
        let policy = policy("https://op.example", &[]);
        for url in [
            "http://op.example/token",
            "file:///etc/passwd",
            "gopher://op.example/",
            "ftp://op.example/",
            "data:text/plain,x",
            "https://user@op.example/token",
            "https://user:secret@op.example/token",
            "https://op.example/token#x",
        ] {
            assert!(!permits(&policy, url), "{url}");
        }
    }

    /// The policy of `https://op.example.org` through a proxy.
    fn through_proxy(hosts: &[&str]) -> EgressPolicy {
        let rules = OutboundRules {
            allow_plaintext: true,
            allow_private_hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            allowed_endpoint_hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            proxy: Some(OutboundProxy {
                url: Url::parse("http://10.0.0.1:3128").unwrap(),
                credentials: None,
            }),
            ..OutboundRules::default()
        };
        EgressPolicy::new(&rules, &Url::parse("https://op.example.org").unwrap())
    }

    #[test]
    fn found_i1_a_proxy_is_asked_for_hosts_of_the_entry_only() {
        let policy = through_proxy(&["API.example.org"]);
        for permitted in [
            "https://op.example.org/token",
            "https://op.example.org:8443/token",
            "https://api.example.org/userinfo",
        ] {
            assert!(permits(&policy, permitted), "{permitted}");
        }
        for refused in [
            "https://other.example.org/token",
            "https://op.example.org.evil.example/token",
            "https://x.op.example.org/token",
            "http://op.example.org/token",
            "http://localhost/token",
            "https://user:secret@op.example.org/token",
        ] {
            assert!(!permits(&policy, refused), "{refused}");
        }
    }

    #[test]
    fn found_i1_no_proxy_is_asked_for_what_is_inside_even_where_the_entry_names_it() {
        for host in [
            "localhost",
            "x.localhost",
            "keycloak",
            "metadata",
            "keycloak.identity.svc",
            "keycloak.identity.svc.cluster.local",
            "keycloak.identity.svc.k8s.example.org",
            "keycloak.local",
            "Keycloak.Local.",
            "metadata.google.internal",
            "metadata.goog",
            "router.home.arpa",
            "127.0.0.1",
            "2130706433",
            "10.0.0.1",
            "169.254.169.254",
            "93.184.216.34",
            "[::1]",
            "[2606:4700::1111]",
            "[fd00:ec2::254]",
        ] {
            let policy = through_proxy(&[host]);
            let url = format!("https://{host}/token");
            assert!(!permits(&policy, &url), "{host}");
            assert!(!may_go_through_proxy(&Url::parse(&url).unwrap()), "{host}");
        }
        for host in ["svc.example.org", "local.example", "internal.example.org"] {
            assert!(permits(
                &through_proxy(&[host]),
                &format!("https://{host}/")
            ));
        }
    }

    #[test]
    fn loopback_is_permitted_to_a_loopback_issuer_and_to_listed_hosts_only() {
        let local = policy("http://localhost:8080/realms/x", &[]);
        assert!(permits(&local, "http://127.0.0.1:8080/token"));
        assert!(permits(&local, "http://[::1]:8080/token"));
        assert!(!permits(&local, "https://10.0.0.1/token"));
        assert!(local.admits("localhost", Ipv4Addr::LOCALHOST.into()));
        assert!(!local.admits("rebind.example", Ipv4Addr::LOCALHOST.into()));
        assert!(!local.admits("localhost", Ipv4Addr::new(93, 184, 216, 34).into()));

        let remote = policy("https://op.example", &["Keycloak.internal", "10.1.2.3"]);
        assert!(!remote.admits("localhost", Ipv4Addr::LOCALHOST.into()));
        assert!(remote.admits("keycloak.internal.", Ipv4Addr::new(10, 0, 0, 1).into()));
        assert!(!remote.admits("x.keycloak.internal", Ipv4Addr::new(10, 0, 0, 1).into()));
        assert!(permits(&remote, "https://10.1.2.3/token"));
        assert!(!permits(&remote, "https://10.1.2.4/token"));
    }

    /// First answers with a public address, then with a private one.
    struct Rebinding(std::sync::atomic::AtomicBool);

    impl Resolve for Rebinding {
        fn resolve(&self, _: Name) -> Resolving {
            let second = self.0.swap(true, std::sync::atomic::Ordering::SeqCst);
            let address: SocketAddr = if second {
                ([127, 0, 0, 1], 0).into()
            } else {
                ([93, 184, 216, 34], 0).into()
            };
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
        }
    }

    #[tokio::test]
    async fn security_p71_a_name_that_turns_private_is_refused_when_connecting() {
        let policy = Arc::new(policy("https://op.example", &[]));
        let resolver = Guarded::new(policy, Arc::new(Rebinding(false.into())));
        let name = || "op.example".parse::<Name>().unwrap();
        let first: Vec<_> = resolver.resolve(name()).await.unwrap().collect();
        assert_eq!(first.len(), 1);
        let refusal = resolver.resolve(name()).await.err().unwrap();
        assert!(refusal.downcast_ref::<EgressDenied>().is_some());
    }
}
