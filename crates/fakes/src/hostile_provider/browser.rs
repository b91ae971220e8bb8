//! The browser's part of a sign-in, without a browser.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use reqwest::Certificate;
use reqwest::redirect::Policy;
use url::Url;

use crate::certificates::Authority;

/// Where the provider sent the browser.
#[derive(Clone, Debug)]
pub struct Redirected {
    /// The whole URL.
    pub location: Url,
    /// The first `code`.
    pub code: Option<String>,
    /// The first `state`.
    pub state: Option<String>,
    /// The first `iss`.
    pub iss: Option<String>,
    /// The first `error`.
    pub error: Option<String>,
}

impl From<Url> for Redirected {
    fn from(location: Url) -> Self {
        let value = |name: &str| {
            let mut pairs = location.query_pairs();
            pairs
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        Self {
            code: value("code"),
            state: value("state"),
            iss: value("iss"),
            error: value("error"),
            location,
        }
    }
}

pub(super) fn client(trusted: &[&Authority]) -> anyhow::Result<reqwest::Client> {
    let client = builder(trusted)?.build();
    client.context("the client that plays the browser could not be made")
}

/// One that finds this name at this address.
pub(super) fn client_at(
    trusted: &Authority,
    (name, address): (&str, SocketAddr),
) -> anyhow::Result<reqwest::Client> {
    let client = builder(&[trusted])?.resolve(name, address).build();
    client.context("the client that plays the browser could not be made")
}

fn builder(trusted: &[&Authority]) -> anyhow::Result<reqwest::ClientBuilder> {
    let trusted: Result<Vec<_>, _> = trusted
        .iter()
        .map(|authority| Certificate::from_pem(authority.pem().as_bytes()))
        .collect();
    Ok(reqwest::Client::builder()
        .tls_certs_merge(trusted?)
        .redirect(Policy::none())
        .no_proxy())
}

pub(super) async fn follow(client: &reqwest::Client, url: &str) -> anyhow::Result<Redirected> {
    let url = Url::parse(url).context("the authorize URL is not a URL")?;
    let response = client
        .get(url.clone())
        .send()
        .await
        .context("the provider did not answer")?;
    let status = response.status();
    let Some(location) = response.headers().get("location") else {
        let page = response.text().await.unwrap_or_default();
        bail!("the provider answered {status} without a redirect: {page}");
    };
    let location = location.to_str().context("the location is not text")?;
    Ok(url
        .join(location)
        .context("the location is not a URL")?
        .into())
}
