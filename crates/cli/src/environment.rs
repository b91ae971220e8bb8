//! What the hub's operator, and the person in the server, set in the environment.

use std::{collections::BTreeMap, ffi::OsString, fs, time::Duration};

use hubkey_broker_client::Destination;
use hubkey_protocol::{ProviderId, secret::ServerToken};
use url::Url;

use crate::failure::{Exit, Failure};

/// The server's own token, by which the broker knows it.
pub(crate) const TOKEN: &str = "JUPYTERHUB_API_TOKEN";
/// Where the broker is.
pub(crate) const URL: &str = "HUBKEY_URL";
const CA_FILE: &str = "HUBKEY_CA_FILE";
const PLAINTEXT: &str = "HUBKEY_ALLOW_PLAINTEXT";
const PROVIDER: &str = "HUBKEY_PROVIDER";
const INTERACTIVE: &str = "HUBKEY_INTERACTIVE";
const TIMEOUT: &str = "HUBKEY_TIMEOUT";

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// The environment, read once. It holds a secret, so it cannot be shown.
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

/// What is set there.
pub(crate) struct Settings {
    pub(crate) destination: Destination,
    pub(crate) token: ServerToken,
    /// What a command without a provider means.
    pub(crate) provider: Option<ProviderId>,
    /// Whether a link is shown and waited for; not said: if there is a terminal.
    pub(crate) interactive: Option<bool>,
    /// How long a person is waited for.
    pub(crate) timeout: Duration,
}

impl Environment {
    /// The process's own.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// A variable that is set, is text and is not blank.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.get(&OsString::from(name))?;
        Some(value.to_str()?.trim()).filter(|value| !value.is_empty())
    }

    /// Reads the settings, and tells every mistake at once.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let (Some(token), Some(url)) = (self.text(TOKEN), self.text(URL)) else {
            return Err(Failure::new(Exit::Usage, self.absent()));
        };
        let mut mistakes = Vec::new();
        let url = self.url(url, &mut mistakes);
        let ca_pem = self.certificates(&mut mistakes);
        let provider = self.provider(&mut mistakes);
        let interactive = self.interactive(&mut mistakes);
        let timeout = self.timeout(&mut mistakes);
        match url {
            Some(url) if mistakes.is_empty() => Ok(Settings {
                destination: Destination { url, ca_pem },
                token: ServerToken::new(token),
                provider,
                interactive,
                timeout,
            }),
            _ => {
                let mistakes = mistakes.join("\n");
                let said = format!(
                    "The environment of this server is wrong:\n{mistakes}\nCorrect it and restart the server."
                );
                Err(Failure::new(Exit::Usage, said))
            }
        }
    }

    fn absent(&self) -> String {
        if self.text(TOKEN).is_none() {
            format!(
                "This is no JupyterHub server: {TOKEN} is not set. Open a terminal or a notebook on your JupyterHub \
                 and run the command there."
            )
        } else {
            format!(
                "This JupyterHub does not offer hubkey: {URL} is not set. Ask its operator to call \
                 hubkey.hub.configure in jupyterhub_config.py, then restart your server."
            )
        }
    }

    fn url(&self, text: &str, mistakes: &mut Vec<String>) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
        });
        let Some(url) = url else {
            mistakes.push(format!(
                "{URL}: expected a whole URL, such as https://hubkey-broker.internal:8443"
            ));
            return None;
        };
        let loopback = ["127.0.0.1", "localhost", "[::1]"];
        let near = url.host_str().is_some_and(|host| loopback.contains(&host));
        if url.scheme() == "http" && !near && self.text(PLAINTEXT) != Some("1") {
            mistakes.push(format!(
                "{URL}: expected https, or {PLAINTEXT}=1 if something else encrypts the way to it"
            ));
        }
        Some(url)
    }

    fn certificates(&self, mistakes: &mut Vec<String>) -> Option<Vec<u8>> {
        let path = self.text(CA_FILE)?;
        let pem = fs::read(path).unwrap_or_default();
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            mistakes.push(format!(
                "{CA_FILE}={path}: expected a readable file with PEM certificates"
            ));
        }
        Some(pem)
    }

    fn provider(&self, mistakes: &mut Vec<String>) -> Option<ProviderId> {
        let text = self.text(PROVIDER)?;
        ProviderId::parse(text)
            .inspect_err(|error| mistakes.push(format!("{PROVIDER}={text}: {error}")))
            .ok()
    }

    fn interactive(&self, mistakes: &mut Vec<String>) -> Option<bool> {
        match self.text(INTERACTIVE)?.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => Some(true),
            "0" | "false" | "no" => Some(false),
            "auto" => None,
            other => {
                mistakes.push(format!("{INTERACTIVE}={other}: expected 0, 1 or auto"));
                None
            }
        }
    }

    fn timeout(&self, mistakes: &mut Vec<String>) -> Duration {
        let Some(text) = self.text(TIMEOUT) else {
            return DEFAULT_TIMEOUT;
        };
        let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
        let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        timeout.unwrap_or_else(|| {
            mistakes.push(format!(
                "{TIMEOUT}={text}: expected a number of seconds, more than 0"
            ));
            DEFAULT_TIMEOUT
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment(pairs.collect())
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        let mut all = vec![(TOKEN, "t"), (URL, "http://127.0.0.1:1")];
        all.extend(pairs);
        match environment(&all).settings() {
            Ok(_) => String::new(),
            Err(failure) => failure.said().to_owned(),
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let said = refusal(&[
            (URL, "http://broker.example"),
            (CA_FILE, "/nowhere"),
            (PROVIDER, "Lab API"),
            (INTERACTIVE, "perhaps"),
            (TIMEOUT, "-1"),
        ]);
        for name in [URL, CA_FILE, PROVIDER, INTERACTIVE, TIMEOUT] {
            assert!(said.contains(name), "{name}: {said}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_or_on_request() {
        assert_eq!(refusal(&[]), "");
        assert_ne!(refusal(&[(URL, "http://broker.example")]), "");
        let told = [(URL, "http://broker.example"), (PLAINTEXT, "1")];
        assert_eq!(refusal(&told), "");
        assert_eq!(refusal(&[(URL, "https://broker.example/hubkey")]), "");
    }

    #[test]
    fn a_url_with_credentials_is_refused_and_not_repeated() {
        let said = refusal(&[(URL, "https://user:canary@broker.example")]);
        assert!(said.contains(URL) && !said.contains("canary"), "{said}");
    }

    #[test]
    fn outside_of_a_hub_the_command_says_where_to_go() {
        let said = |pairs| match environment(pairs).settings() {
            Ok(_) => String::new(),
            Err(failure) => failure.said().to_owned(),
        };
        assert!(said(&[]).contains("is no JupyterHub server"));
        assert!(said(&[(TOKEN, "t")]).contains("does not offer hubkey"));
    }
}
