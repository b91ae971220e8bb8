//! The proxy that providers are reached through: one for all, and per provider another one or none.

use hubkey_domain::provider::{Endpoints, OutboundProxy, OutboundRules, ProxyCredentials};
use hubkey_oidc::may_go_through_proxy;
use hubkey_protocol::secret::ProxyPassword;
use hubkey_service::settings::{Reader, Section, value_type};
use url::Url;

/// How a provider is reached.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Direct,
    Through(OutboundProxy),
}

impl Way {
    pub(super) fn proxy(self) -> Option<OutboundProxy> {
        match self {
            Self::Direct => None,
            Self::Through(proxy) => Some(proxy),
        }
    }
}

/// As it is written; `None` is the word `none`.
const PROXY: value_type::Parsed<Option<Url>> = value_type::Parsed::with(
    "`none` or the http or https URL of a proxy, such as http://proxy.example.org:3128",
    |text| match text {
        "none" => Some(None),
        _ => proxy(text).map(Some),
    },
    |url| url.as_ref().map_or("none".to_owned(), ToString::to_string),
);

/// Also with a user and a password, so that the mistake can be told.
fn proxy(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && bare).then_some(url)
}

/// The keys of a proxy and what they say.
struct Keys {
    url: &'static str,
    user: &'static str,
    password: &'static str,
    password_file: &'static str,
    about: &'static str,
}

const COMMON: Keys = Keys {
    url: "url",
    user: "user",
    password: "password",
    password_file: "password_file",
    about: "The proxy that token-broker asks for a tunnel (`CONNECT`) to each provider; `none` or nothing: providers are reached directly. The environment's `HTTPS_PROXY` and its like do not count.",
};

const OWN: Keys = Keys {
    url: "outbound_proxy",
    user: "outbound_proxy_user",
    password: "outbound_proxy_password",
    password_file: "outbound_proxy_password_file",
    about: "The proxy for this provider, in place of that of `[outbound_proxy]`; `none`: it is reached directly.",
};

/// The proxy for all providers.
pub(super) fn read_common(reader: &Reader) -> Option<Way> {
    read(&reader.section("outbound_proxy"), &COMMON)
}

/// The proxy for this provider, in place of that for all.
pub(super) fn read_own(section: &Section<'_>) -> Option<Way> {
    read(section, &OWN)
}

fn read(section: &Section<'_>, keys: &Keys) -> Option<Way> {
    let url = section.optional(keys.url, &PROXY, keys.about);
    let user = section.optional(
        keys.user,
        &value_type::TEXT,
        "The user that the proxy asks for, if it does (`Basic`).",
    );
    let password = section.optional_secret(
        keys.password,
        ProxyPassword::new,
        "The password of that user.",
    );
    let Some(Some(url)) = url else {
        check_unused(section, keys, (user.is_some(), password.is_some()));
        return url.map(|_| Way::Direct);
    };
    check_bare(section, keys, &url);
    let credentials = credentials(section, keys, (user, password));
    Some(Way::Through(OutboundProxy { url, credentials }))
}

/// A URL is no place for a secret: it is shown in logs and reports.
fn check_bare(section: &Section<'_>, keys: &Keys, url: &Url) {
    if !url.username().is_empty() || url.password().is_some() {
        let user = section.dotted(keys.user);
        let file = section.dotted(keys.password_file);
        section.fail(
            keys.url,
            &format!(
                "write the URL without user and password; they go into `{user}` and `{file}`."
            ),
        );
    }
}

fn credentials(
    section: &Section<'_>,
    keys: &Keys,
    given: (Option<String>, Option<ProxyPassword>),
) -> Option<ProxyCredentials> {
    match given {
        (Some(user), Some(password)) => {
            if user.contains(':') {
                section.fail(
                    keys.user,
                    "choose a user without a colon; `Basic` cannot send one.",
                );
            }
            Some(ProxyCredentials { user, password })
        }
        (Some(_), None) => {
            section.fail(
                keys.password_file,
                "name a file that holds the user's password.",
            );
            None
        }
        (None, Some(_)) => {
            section.fail(keys.user, "name the user whose password is given.");
            None
        }
        (None, None) => None,
    }
}

fn check_unused(section: &Section<'_>, keys: &Keys, (user, password): (bool, bool)) {
    let found = [(user, keys.user), (password, keys.password_file)];
    for (_, key) in found.into_iter().filter(|(given, _)| *given) {
        let url = section.dotted(keys.url);
        section.fail(
            key,
            &format!("it does nothing without a proxy; set `{url}` to one, or remove this."),
        );
    }
}

/// Whether a proxy can lead to this provider: it is asked for public names, by https, and decides about addresses.
pub(super) fn check(
    section: &Section<'_>,
    endpoints: Option<&Endpoints>,
    outbound: &OutboundRules,
) {
    let directly = format!(
        "set `{} = \"none\"` where token-broker reaches the provider without the proxy.",
        section.dotted(OWN.url)
    );
    if outbound.allow_plaintext {
        section.fail(
            "allow_plaintext",
            &format!(
                "remove it: through a proxy the provider is asked by https only; or {directly}"
            ),
        );
    }
    if !outbound.allow_private_hosts.is_empty() {
        section.fail(
            "allow_private_hosts",
            &format!(
                "remove it: which addresses may be reached is the proxy's to decide; or {directly}"
            ),
        );
    }
    let urls = endpoints.map(Endpoints::urls).unwrap_or_default();
    for (key, url) in urls {
        // Only browsers go there.
        if key != "authorization_endpoint" && !may_go_through_proxy(&url) {
            section.fail(
                key,
                &format!(
                    "a proxy is asked for https URLs with public names only, not for addresses and names inside; correct it, or {directly}"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use hubkey_domain::provider::ProviderConfig;
    use hubkey_protocol::secret::Secret as _;

    use super::super::provider;
    use super::*;

    /// What comes of these lines above and in the section of a provider whose issuer is this, and what is said of it.
    fn read(common: &str, issuer: &str, own: &str) -> (Vec<ProviderConfig>, String) {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "hidden\n").unwrap();
        let text = format!(
            "{common}\n[providers.lab]\nissuer = \"{issuer}\"\nclient_id = \"hubkey\"\n\
             token_endpoint_auth_method = \"none\"\n{own}\n"
        );
        let text = text.replace("PASSWORD", password.to_str().unwrap());
        let file = folder.path().join("hubkey.toml");
        std::fs::write(&file, text).unwrap();
        let reader = Reader::open(Some(&file), std::collections::BTreeMap::new());
        let found = provider::read_all(&reader);
        let told = reader.finish().err();
        (found, told.map(|told| told.to_string()).unwrap_or_default())
    }

    const ISSUER: &str = "https://login.example.org";
    const COMMON: &str = "[outbound_proxy]\nurl = \"http://proxy.internal:3128\"\n";
    const USER: &str = "user = \"hubkey\"\npassword_file = \"PASSWORD\"\n";

    /// The proxy of the one provider: its URL, and user and password.
    fn proxy_of(common: &str, own: &str) -> Option<(String, Option<(String, String)>)> {
        let (found, told) = read(common, ISSUER, own);
        assert_eq!(told, "", "{common} {own}");
        let proxy = found.into_iter().next().unwrap().outbound.proxy?;
        let credentials = proxy
            .credentials
            .map(|one| (one.user, one.password.expose().to_owned()));
        Some((proxy.url.to_string(), credentials))
    }

    #[test]
    fn found_i1_one_proxy_for_all_and_another_or_none_for_one() {
        const OTHER: &str = "outbound_proxy = \"https://10.0.0.7:8443\"\n";
        const NONE: &str = "outbound_proxy = \"none\"\n";
        const OWN_USER: &str =
            "outbound_proxy_user = \"hubkey\"\noutbound_proxy_password_file = \"PASSWORD\"\n";
        let at = |url: &str| Some((url.to_owned(), None));
        let with = |url: &str| {
            let credentials = ("hubkey".to_owned(), "hidden".to_owned());
            Some((url.to_owned(), Some(credentials)))
        };
        let secured = [COMMON, USER].concat();
        let other_secured = [OTHER, OWN_USER].concat();
        for (common, own, expected) in [
            ("", "", None),
            ("[outbound_proxy]\nurl = \"none\"\n", "", None),
            (COMMON, "", at("http://proxy.internal:3128/")),
            (&secured, "", with("http://proxy.internal:3128/")),
            (COMMON, NONE, None),
            (&secured, NONE, None),
            ("", NONE, None),
            // The credentials of one proxy are not another's.
            (&secured, OTHER, at("https://10.0.0.7:8443/")),
            ("", &other_secured, with("https://10.0.0.7:8443/")),
        ] {
            assert_eq!(proxy_of(common, own), expected, "{common} {own}");
        }
        // A provider inside is reached without it.
        let (_, told) = read(
            COMMON,
            "http://keycloak.hub.svc:8080/realms/lab",
            "outbound_proxy = \"none\"\nallow_private_hosts = [\"keycloak.hub.svc\"]\nallow_plaintext = true\n",
        );
        assert_eq!(told, "");
    }

    /// These lines are refused with this sentence, and no secret is in it.
    fn assert_told(common: &str, (issuer, own): (&str, &str), expected: &str) {
        let (_, told) = read(common, issuer, own);
        assert!(told.contains(expected), "{common} {own}: {told}");
        assert!(!told.contains("hidden"), "{told}");
    }

    #[test]
    fn found_i1_a_url_of_a_proxy_has_no_credentials_and_no_path() {
        const BARE: &str = "`outbound_proxy.url`: write the URL without user and password; they go into \
                            `outbound_proxy.user` and `outbound_proxy.password_file`";
        const WRONG: &str = "`none` or the http or https URL of a proxy";
        for (url, expected) in [
            ("http://hubkey:hidden@proxy.internal:3128", BARE),
            ("http://hubkey@proxy.internal:3128", BARE),
            ("http://hubkey:hidden@proxy.internal:3128/path", WRONG),
            ("socks5://proxy.internal:1080", WRONG),
            ("proxy.internal:3128", WRONG),
            ("http://proxy.internal:3128/?x", WRONG),
            ("", WRONG),
        ] {
            let common = format!("[outbound_proxy]\nurl = \"{url}\"\n");
            assert_told(&common, (ISSUER, ""), expected);
            let own = format!("outbound_proxy = \"{url}\"");
            let expected = expected.replace("proxy.url", "proxy");
            let expected = expected.replace("outbound_proxy", "providers.lab.outbound_proxy");
            let expected = expected.replace("proxy.user", "proxy_user");
            let expected = expected.replace("proxy.password", "proxy_password");
            assert_told("", (ISSUER, &own), &expected);
        }
    }

    #[test]
    fn found_i1_credentials_of_a_proxy_are_told_where_they_are_not_whole() {
        let lab = (ISSUER, "");
        for (rest, expected) in [
            (
                "user = \"hubkey\"",
                "`outbound_proxy.password_file`: name a file",
            ),
            (
                "password_file = \"PASSWORD\"",
                "`outbound_proxy.user`: name the user",
            ),
            (
                "user = \"a:b\"\npassword_file = \"PASSWORD\"",
                "a user without a colon",
            ),
            (
                "password = \"hidden\"",
                "`outbound_proxy.password` is a secret in clear",
            ),
        ] {
            assert_told(&[COMMON, rest].concat(), lab, expected);
        }
        let unused = ["[outbound_proxy]\n", USER].concat();
        assert_told(
            &unused,
            lab,
            "`outbound_proxy.user`: it does nothing without a proxy",
        );
        let own = "outbound_proxy = \"none\"\noutbound_proxy_user = \"hubkey\"";
        let expected = "`providers.lab.outbound_proxy_user`: it does nothing without a proxy; set \
                        `providers.lab.outbound_proxy` to one";
        assert_told(COMMON, (ISSUER, own), expected);
    }

    #[test]
    fn found_i1_what_no_proxy_leads_to_is_told_at_start() {
        const DIRECTLY: &str =
            "set `providers.lab.outbound_proxy = \"none\"` where token-broker reaches";
        for (issuer, own, key) in [
            ("https://10.0.0.1", "", "issuer"),
            ("https://localhost:8443", "", "issuer"),
            ("https://keycloak.hub.svc", "", "issuer"),
            ("http://login.example.org", "", "issuer"),
            (
                ISSUER,
                "userinfo_endpoint = \"https://localhost/me\"",
                "userinfo_endpoint",
            ),
            (
                ISSUER,
                "allow_private_hosts = [\"login.example.org\"]",
                "allow_private_hosts",
            ),
            (ISSUER, "allow_plaintext = true", "allow_plaintext"),
        ] {
            assert_told(COMMON, (issuer, own), &format!("`providers.lab.{key}`: "));
            assert_told(COMMON, (issuer, own), DIRECTLY);
        }
    }
}
