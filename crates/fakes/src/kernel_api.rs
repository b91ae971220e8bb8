//! The broker's kernel API, asked with a server's token: what a kernel does that is not Python, or not honest.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::loopback;

const PATIENCE: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A caller with one token.
#[derive(Debug, Clone)]
pub struct KernelApi {
    url: String,
    token: String,
    client: reqwest::Client,
}

/// A sign-in that waits for its person.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its handle.
    pub nonce: String,
    /// What its result is collected with.
    pub poll_secret: String,
    /// What the person opens.
    pub link: String,
}

impl Opened {
    /// The secret at the end of the link.
    #[must_use]
    pub fn ticket(&self) -> &str {
        self.link.rsplit('/').next().unwrap_or_default()
    }
}

impl KernelApi {
    /// Asks the broker at this address with this token.
    pub fn new(broker: &str, token: impl Into<String>) -> anyhow::Result<Self> {
        Ok(Self {
            url: broker.to_owned(),
            token: token.into(),
            client: loopback::client()?,
        })
    }

    /// Asks another broker with the same token.
    #[must_use]
    pub fn at(&self, broker: &str) -> Self {
        Self {
            url: broker.to_owned(),
            ..self.clone()
        }
    }

    /// Asks the broker at this https address, whose certificate is signed by this authority.
    pub fn trusting(
        broker: &str,
        token: impl Into<String>,
        authority: &Authority,
    ) -> anyhow::Result<Self> {
        let authority = reqwest::Certificate::from_pem(authority.pem().as_bytes())?;
        Ok(Self {
            url: broker.to_owned(),
            token: token.into(),
            client: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([authority])
                .build()?,
        })
    }

    /// The token it asks with.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// One question: method, path, body, and headers beside the token's.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Opens a sign-in, where none is needed that exists already.
    pub async fn open(&self, provider: &str) -> anyhow::Result<Opened> {
        self.open_with(json!({ "provider": provider })).await
    }

    /// The same, with more wishes.
    pub async fn open_with(&self, body: Value) -> anyhow::Result<Opened> {
        let (status, answer) = self
            .ask(Method::POST, "/v1/sign-ins", Some(body), &[])
            .await?;
        let text = |field: &str| {
            let value = answer[field].as_str().map(str::to_owned);
            value.with_context(|| format!("no {field} in the answer {status}"))
        };
        Ok(Opened {
            nonce: text("nonce")?,
            poll_secret: text("poll_secret")?,
            link: text("sign_in_url")?,
        })
    }

    /// One poll.
    pub async fn poll(&self, opened: &Opened) -> anyhow::Result<(StatusCode, Value)> {
        let path = format!("/v1/sign-ins/{}", opened.nonce);
        let secret = [("hubkey-poll-secret", opened.poll_secret.as_str())];
        self.ask(Method::GET, &path, None, &secret).await
    }

    /// Polls until the sign-in has ended, and gives its state and the whole answer.
    pub async fn result(&self, opened: &Opened) -> anyhow::Result<(String, Value)> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let (status, answer) = self.poll(opened).await?;
            match answer["status"].as_str() {
                Some("pending") => tokio::time::sleep(LOOK_AGAIN).await,
                Some(state) => return Ok((state.to_owned(), answer)),
                None => bail!("the poll was answered {status}: {}", answer["code"]),
            }
        }
        bail!("the sign-in did not end within {PATIENCE:?}")
    }

    /// The connections of this server.
    pub async fn connections(&self) -> anyhow::Result<Vec<Value>> {
        let (status, answer) = self.ask(Method::GET, "/v1/connections", None, &[]).await?;
        let list = answer["connections"].as_array();
        Ok(list
            .with_context(|| format!("no connections in the answer {status}"))?
            .clone())
    }
}
