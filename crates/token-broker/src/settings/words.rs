//! Kinds of values that only the broker has.

use hubkey_protocol::{ProviderId, Scope};
use hubkey_service::settings::value_type::Parsed;
use url::Url;

/// A provider's short name.
pub(super) const PROVIDER_ID: Parsed<ProviderId> = Parsed::with(
    "1 to 63 characters of a to z, 0 to 9 and -, beginning with a letter or digit",
    |text| ProviderId::parse(text).ok(),
    |id| id.as_str().to_owned(),
);

/// One scope.
pub(super) const SCOPE: Parsed<Scope> = Parsed::with(
    "a scope: printable ASCII without space, \" and \\",
    |text| Scope::parse(text).ok(),
    |scope| scope.as_str().to_owned(),
);

/// A URL that may have a query.
pub(super) const ENDPOINT: Parsed<Url> = Parsed::with(
    "an http or https URL without fragment",
    endpoint,
    ToString::to_string,
);

/// The origin of an API.
pub(super) const ORIGIN: Parsed<String> = Parsed::with(
    "an origin such as https://api.example.org, without a path",
    origin,
    Clone::clone,
);

/// The domain of e-mail addresses.
pub(super) const DOMAIN: Parsed<String> = Parsed::with(
    "a domain such as lab.example, without @",
    |text| {
        let labels = |text: &str| text.split('.').all(|label| !label.is_empty());
        let letters = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        (letters && labels(text)).then(|| text.to_ascii_lowercase())
    },
    Clone::clone,
);

/// A name and a text.
pub(super) const PAIR: Parsed<(String, String)> = Parsed::with(
    "name=text",
    |text| {
        text.split_once('=')
            .map(|(name, text)| (name.trim().to_owned(), text.trim().to_owned()))
    },
    |(name, text)| format!("{name}={text}"),
);

/// A name and the origin of an API. A name may be a URL with a query, so the last `=` counts.
pub(super) const ORIGIN_OF: Parsed<(String, String)> = Parsed::with(
    "name=origin, such as other-api=https://other.example.org",
    |text| {
        let (name, text) = text.rsplit_once('=')?;
        Some((name.trim().to_owned(), origin(text.trim())?)).filter(|(name, _)| !name.is_empty())
    },
    |(name, origin)| format!("{name}={origin}"),
);

/// A name and a scope. A name may be a URL with a query, so the last `=` counts.
pub(super) const SCOPE_OF: Parsed<(String, Scope)> = Parsed::with(
    "name=scope, such as other-api=projects:read",
    |text| {
        let (name, text) = text.rsplit_once('=')?;
        Some((name.trim().to_owned(), Scope::parse(text.trim()).ok()?))
            .filter(|(name, _)| !name.is_empty())
    },
    |(name, scope)| format!("{name}={}", scope.as_str()),
);

/// A colour.
pub(super) const COLOUR: Parsed<String> = Parsed::with(
    "a colour such as #0b6b62",
    |text| {
        let digits = text.strip_prefix('#')?;
        (digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| text.to_owned())
    },
    Clone::clone,
);

fn endpoint(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none())
        .then_some(url)
}

fn origin(text: &str) -> Option<String> {
    let url = endpoint(text)?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then(|| url.origin().ascii_serialization())
}

/// Whether a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
