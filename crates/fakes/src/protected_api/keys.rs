//! The issuer's keys, fetched when first needed and again when a token names one that is not there.

use std::time::{Duration, Instant};

use anyhow::Context;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::Settings;
use super::refusal::Refusal;

/// Callers can invent key ids; the issuer is asked at most this often because of them.
const REFETCH_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Debug)]
struct Fetched {
    set: JwkSet,
    at: Instant,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    http: reqwest::Client,
    issuer: String,
    jwks_uri: Option<String>,
    fetched: Mutex<Option<Fetched>>,
}

impl Keys {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .context("the HTTP client could not be made")?;
        let (issuer, jwks_uri) = (settings.issuer.clone(), settings.jwks_uri.clone());
        Ok(Self {
            http,
            issuer,
            jwks_uri,
            fetched: Mutex::new(None),
        })
    }

    /// The key of this id that may verify by this algorithm.
    pub(super) async fn find(
        &self,
        kid: &str,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, Refusal> {
        // Held while fetching: who comes meanwhile waits for the same answer.
        let mut fetched = self.fetched.lock().await;
        let known = fetched.as_ref().is_some_and(|fetched| {
            fetched.set.find(kid).is_some() || fetched.at.elapsed() < REFETCH_INTERVAL
        });
        if !known {
            let set = self.fetch().await.map_err(|_| Refusal::NoKeys)?;
            *fetched = Some(Fetched {
                set,
                at: Instant::now(),
            });
        }
        let jwk = fetched.as_ref().and_then(|fetched| fetched.set.find(kid));
        Ok(jwk
            .filter(|jwk| fits(jwk, algorithm))
            .and_then(|jwk| DecodingKey::from_jwk(jwk).ok()))
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        if let Some(uri) = &self.jwks_uri {
            return self.get(uri).await;
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let discovery: Discovery = self.get(&url).await?;
        anyhow::ensure!(
            discovery.issuer == self.issuer,
            "the document is of another issuer"
        );
        self.get(&discovery.jwks_uri).await
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let response = self.http.get(url).send().await?.error_for_status()?;
        Ok(response.json().await?)
    }
}

fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let registered = jwk
        .common
        .key_algorithm
        .and_then(|name| name.to_string().parse().ok());
    registered.is_none_or(|registered: Algorithm| registered == algorithm)
}
