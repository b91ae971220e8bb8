//! The Hub as the operator configured it.

use hubkey_protocol::secret::ClientSecret;
use url::{Host, Url};

/// The Hub, and hubkey's registration there as a service.
#[derive(Debug)]
pub struct HubConfig {
    /// The Hub's API as the broker reaches it, such as `http://hub:8081/hub/api`.
    pub api_url: Url,
    /// The Hub as browsers reach it. Its origin counts; the path is that of `api_url`, because a Hub has the same base
    /// URL inside and outside.
    pub public_url: Url,
    /// The service's API token, which is its OAuth client secret too.
    pub api_token: ClientSecret,
    /// The service's name: who may use hubkey holds `access:services!service=<name>`.
    pub service_name: String,
    /// The service's OAuth client id; the Hub makes it `service-<name>`.
    pub client_id: String,
    /// `<public_url of hubkey>/oauth_callback`: compared byte by byte by the Hub, so kept as written.
    pub redirect_uri: String,
    /// The scope that only servers get, such as `custom:hubkey:kernel`. Empty: not asked for, which start-up warns of.
    pub server_scope: String,
    /// Whether the API may be reached by plain http beyond loopback.
    pub allow_plaintext: bool,
    /// PEM certificates of the authorities to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// What is wrong with a [`HubConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HubConfigError {
    /// Neither http nor https, or with credentials, query or fragment.
    #[error("`hub.{0}` must be an http or https URL without credentials, query or fragment")]
    Url(&'static str),
    /// Plain http to another machine.
    #[error(
        "`hub.api_url` is plain http to another machine: use https, or set `hub.allow_plaintext = true` where the network \
         between hubkey and the Hub is trusted"
    )]
    Plaintext,
    /// The token cannot be sent.
    #[error("`hub.api_token` holds a character that no header can carry, or is empty")]
    ApiToken,
    /// The authorities cannot be read.
    #[error("the file of certificates for the Hub is not PEM")]
    Certificates,
    /// No TLS.
    #[error("TLS cannot be set up")]
    Tls,
}

impl HubConfig {
    /// Checks what can be checked without asking the Hub.
    pub fn check(&self) -> Result<(), HubConfigError> {
        check_url("api_url", &self.api_url)?;
        check_url("public_url", &self.public_url)?;
        if self.is_plaintext() && !self.allow_plaintext {
            return Err(HubConfigError::Plaintext);
        }
        Ok(())
    }

    /// Whether tokens go in clear to another machine.
    pub(super) fn is_plaintext(&self) -> bool {
        self.api_url.scheme() == "http" && !is_loopback(&self.api_url)
    }
}

fn check_url(name: &'static str, url: &Url) -> Result<(), HubConfigError> {
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(()).ok_or(HubConfigError::Url(name))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
