//! Who is at the other end.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

use super::Limits;

/// The address that a request comes from: of the socket, or, when a trusted proxy is at the socket, the one that the
/// proxy names in `X-Forwarded-For`. Handlers take it as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// An address without what IPv6 wraps around an IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// What shares one bucket of a rate limit: an IPv4 address, or the /64 network of an IPv6 address, since one host
    /// has all addresses of that network.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & !u128::from(u64::MAX),
            )),
        }
    }

    /// The key under which a rate limit counts this client, where its address says who it is. A proxy speaks for everybody
    /// behind it: one that is trusted and named nobody, one on this machine, and, where no proxy is trusted, whoever comes
    /// from a private network.
    #[must_use]
    pub fn rate_limit_key(self, limits: &Limits) -> Option<IpAddr> {
        let trusted = &limits.trusted_proxies;
        let speaks_for_others = self.0.is_loopback()
            || self.is_within(trusted)
            || (trusted.is_empty() && is_private(self.0));
        (!speaks_for_others).then(|| self.network())
    }

    /// The address at the end of the chain of trusted proxies.
    pub(super) fn of_request(socket: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let mut client = Self::new(socket.ip());
        // A proxy appends the address that it saw: what stands left of the first untrusted address may be forged.
        let hops = headers.get_all("x-forwarded-for").iter().rev();
        for hop in hops.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')) {
            if !client.is_within(trusted) {
                break;
            }
            let Some(address) = hop_address(hop.trim()) else {
                break;
            };
            client = Self::new(address);
        }
        client
    }

    pub(super) fn is_within(self, networks: &[IpNet]) -> bool {
        networks.iter().any(|network| network.contains(&self.0))
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // RFC 6598: the shared space of carriers and of some clusters.
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let socket = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    bare.parse().ok().or_else(socket)
}

impl<S: Sync> FromRequestParts<S> for ClientAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Only a router that is called without a socket, in a test, has none.
        let unknown = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(unknown))
    }
}
