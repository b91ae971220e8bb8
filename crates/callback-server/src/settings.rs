//! What the operator sets.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use hubkey_broker_client::Destination;
use hubkey_protocol::secret::{Secret, SharedSecret};
use hubkey_service::{
    http::{Limits, read_limits},
    settings::{
        self, ConfigErrors, LogSettings, OpsSettings, Reader, read_log, read_ops, value_type,
    },
};
use url::{Host, Url};

/// The variable that names the settings file.
pub use hubkey_service::settings::FILE_VARIABLE;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);
const DEFAULT_OPS_PORT: u16 = 9092;
/// A little longer than the broker is waited for, so that a person gets a page and not a problem document.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(35);

/// All settings of callback-server.
#[derive(Debug)]
pub struct Settings {
    /// Where browsers, or the proxy before this server, reach it.
    pub listen: SocketAddr,
    /// How much that listener takes.
    pub limits: Limits,
    /// The URL by which browsers reach it.
    pub public_url: Url,
    /// Where the broker's internal listener is.
    pub broker: Destination,
    /// What this server proves itself to the broker with.
    pub shared_secret: SharedSecret,
    /// Health and metrics.
    pub ops: OpsSettings,
    /// The log.
    pub log: LogSettings,
}

impl Settings {
    /// Reads a file and the environment, and reports every mistake at once.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        settings::load(file, Self::read)
    }

    /// Whether sign-ins go in clear to another machine.
    #[must_use]
    pub fn broker_is_plaintext(&self) -> bool {
        is_plaintext(&self.broker.url)
    }

    /// Reads what a reader holds.
    pub fn read(reader: &Reader) -> Option<Self> {
        let root = reader.root();
        let listen = root.or(
            "listen",
            &value_type::ADDRESS,
            DEFAULT_LISTEN,
            "Where browsers, or the proxy before this server, reach it.",
        );
        let limits = read_limits(
            &root,
            Limits {
                handler_timeout: HANDLER_TIMEOUT,
                ..Limits::public()
            },
        );
        let public_url = read_public_url(reader);
        let shared_secret = read_shared_secret(reader);
        let broker = read_broker(reader);
        let ops = read_ops(reader, DEFAULT_OPS_PORT);
        let log = read_log(reader);
        Some(Self {
            listen,
            limits,
            public_url: public_url?,
            broker: broker?,
            shared_secret: shared_secret?,
            ops,
            log,
        })
    }
}

/// The reference of all settings, as Markdown.
#[must_use]
pub fn reference() -> String {
    settings::reference(Settings::read)
}

fn read_public_url(reader: &Reader) -> Option<Url> {
    let root = reader.root();
    let url = root.required(
        "public_url",
        &value_type::WEB_URL,
        "The URL by which browsers reach this server; the broker's `public_url` has to be the same.",
    )?;
    if url.scheme() == "http" && !is_loopback(&url) {
        // Elsewhere browsers drop our cookies and tell us nothing about requests: every guard would be gone.
        root.fail(
            "public_url",
            "browsers keep sign-ins safe only over https, or on this machine; use an https URL.",
        );
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !url.path().chars().all(is_plain) || url.path().contains("//") {
        root.fail("public_url", "its path may hold letters, digits and -_.~ between single slashes; choose another path.");
    }
    Some(url)
}

fn read_shared_secret(reader: &Reader) -> Option<SharedSecret> {
    let root = reader.root();
    let about = "What this server proves itself to the broker with.";
    let secret = root.secret("shared_secret", SharedSecret::new, about)?;
    if secret.expose().len() < 32 {
        root.fail(
            "shared_secret_file",
            "give it at least 32 characters, such as `openssl rand -hex 32` prints.",
        );
    }
    Some(secret)
}

fn read_broker(reader: &Reader) -> Option<Destination> {
    let section = reader.section("broker");
    let url = section.required(
        "url",
        &value_type::WEB_URL,
        "The broker's internal listener, such as http://127.0.0.1:8092.",
    );
    let allow_plaintext = section.or(
        "allow_plaintext",
        &value_type::BOOL,
        false,
        "Whether the broker may be on another machine without TLS.",
    );
    let ca_file = section.optional(
        "ca_file",
        &value_type::PATH,
        "PEM certificates of authorities to trust for this URL, in addition to the system's.",
    );
    let ca_pem = match ca_file.map(std::fs::read) {
        Some(Ok(pem)) => Some(pem),
        Some(Err(error)) => {
            section.fail(
                "ca_file",
                &format!("name a file that can be read ({}).", error.kind()),
            );
            None
        }
        None => None,
    };
    let url = url?;
    if is_plaintext(&url) && !allow_plaintext {
        section.fail(
            "url",
            "sign-ins would cross the network in clear; use https, or set `broker.allow_plaintext = true` where the network \
             between the two servers is trusted.",
        );
    }
    Some(Destination { url, ca_pem })
}

fn is_plaintext(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Settings, String> {
        let mut env = BTreeMap::from([
            (
                "HUBKEY_PUBLIC_URL".to_owned(),
                "https://hub.example.org/services/hubkey/".to_owned(),
            ),
            (
                "HUBKEY_BROKER_URL".to_owned(),
                "http://127.0.0.1:8092".to_owned(),
            ),
            (
                "HUBKEY_SHARED_SECRET".to_owned(),
                "0123456789abcdef0123456789abcdef".to_owned(),
            ),
        ]);
        env.extend(
            changes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let reader = Reader::open(None, env);
        let settings = Settings::read(&reader);
        reader.finish().map_err(|mistakes| mistakes.to_string())?;
        settings.ok_or_else(|| "incomplete".to_owned())
    }

    #[test]
    fn three_settings_are_enough() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8090");
        assert!(settings.limits.trusted_proxies.is_empty());
        let proxy = read(&[
            ("HUBKEY_TRUSTED_PROXIES", "10.0.0.0/8"),
            ("HUBKEY_LISTEN", "0.0.0.0:80"),
        ])
        .unwrap();
        assert_eq!(proxy.limits.trusted_proxies.len(), 1);
    }

    #[test]
    fn security_x1_a_public_url_without_tls_is_refused() {
        for url in [
            "http://hub.example.org",
            "http://10.0.0.1",
            "http://localhost.example.org",
            "http://[2001:db8::1]",
        ] {
            let mistakes = read(&[("HUBKEY_PUBLIC_URL", url)]).unwrap_err();
            assert!(mistakes.contains("use an https URL"), "{url}: {mistakes}");
        }
        for url in [
            "http://127.0.0.1:8090",
            "http://localhost:8090/x",
            "http://[::1]:8090",
            "https://hub.example.org",
        ] {
            assert!(read(&[("HUBKEY_PUBLIC_URL", url)]).is_ok(), "{url}");
        }
    }

    #[test]
    fn security_x1_a_broker_elsewhere_without_tls_needs_a_word() {
        let elsewhere = ("HUBKEY_BROKER_URL", "http://broker:8092");
        assert!(
            read(&[elsewhere])
                .unwrap_err()
                .contains("`broker.allow_plaintext = true`")
        );
        assert!(read(&[elsewhere, ("HUBKEY_BROKER_ALLOW_PLAINTEXT", "true")]).is_ok());
        assert!(read(&[("HUBKEY_BROKER_URL", "https://broker:8092")]).is_ok());
    }

    #[test]
    fn odd_paths_and_short_secrets_are_refused() {
        for path in ["/a;b", "/a//b", "/a%20b", "/{a}", "/a,b"] {
            let url = format!("https://hub.example.org{path}");
            assert!(read(&[("HUBKEY_PUBLIC_URL", &url)]).is_err(), "{path}");
        }
        let mistakes = read(&[("HUBKEY_SHARED_SECRET", "short")]).unwrap_err();
        assert!(
            mistakes.contains("at least 32 characters") && !mistakes.contains("short"),
            "{mistakes}"
        );
    }
}
