//! Many kernels at a scripted Hub: a real one cannot run ten thousand servers on a developer's machine.

use anyhow::{Context as _, ensure};
use hubkey_fakes::http_browser::{HttpBrowser, Question};
use hubkey_fakes::scripted_hub::{HubClient, ScriptedHub};
use serde_json::Value;

use super::extent::Built;
use super::site::{Fixture, HubAt, PROVIDER, Site};
use super::wire::{Line, request};

/// Sign-ins that are opened at the same time.
const AT_ONCE: usize = 8;

/// A site at a scripted Hub.
pub(crate) struct Crowd {
    pub(crate) site: Site,
    hub: ScriptedHub,
    client: reqwest::Client,
}

/// A kernel with an open sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) user: String,
    pub(crate) token: String,
    nonce: String,
    secret: String,
    link: String,
}

impl Waiting {
    /// The bytes of its poll.
    pub(crate) fn poll(&self) -> Vec<u8> {
        let line = format!("GET /v1/sign-ins/{}", self.nonce);
        let secret = format!("Hubkey-Poll-Secret: {}\r\n", self.secret);
        request(&line, &self.token, &secret, "")
    }
}

impl Crowd {
    pub(crate) async fn start(label: &str, built: &Built, brokers: usize) -> anyhow::Result<Self> {
        let fixture = Fixture::new(label, built.programs.clone(), brokers)?;
        let hub = ScriptedHub::start().await?;
        let redirect = format!("{}/oauth_callback", fixture.public_url());
        hub.register(HubClient::hubkey(&fixture.hub_token()?, &redirect));
        let at = HubAt {
            api_url: hub.api_url(),
            public_url: hub.url(),
        };
        Ok(Self {
            site: Site::start(fixture, &at).await?,
            hub,
            client: hubkey_fakes::loopback::client()?,
        })
    }

    /// So many kernels of as many people open a sign-in each.
    pub(crate) async fn open(&self, label: &str, count: usize) -> anyhow::Result<Vec<Waiting>> {
        let users: Vec<String> = (0..count).map(|one| format!("{label}-{one}")).collect();
        let mut opening = tokio::task::JoinSet::new();
        for some in users.chunks(count.div_ceil(AT_ONCE).max(1)) {
            let tokens = some
                .iter()
                .map(|user| (user.clone(), self.hub.server_token(user, "")));
            let url = self.site.broker()?.url.clone();
            opening.spawn(open(url, tokens.collect()));
        }
        let mut opened = Vec::new();
        while let Some(some) = opening.join_next().await {
            opened.extend(some??);
        }
        Ok(opened)
    }

    /// Brings the person's browser to the page that asks for the last click.
    pub(crate) async fn to_the_question(
        &self,
        kernel: &Waiting,
    ) -> anyhow::Result<(HttpBrowser, Question)> {
        let account = hubkey_fakes::hostile_provider::Account::new(&format!("op-{}", kernel.user));
        self.site.provider.sign_in_as(account);
        let site = self.site.fixture.public_url();
        let mut browser = HttpBrowser::new(self.client.clone(), &site, &kernel.user)?;
        let question = browser.open(&kernel.link).await?;
        Ok((browser, question))
    }
}

async fn open(url: String, kernels: Vec<(String, String)>) -> anyhow::Result<Vec<Waiting>> {
    let mut line = Line::connect(&url).await?;
    let body = format!(r#"{{"provider":"{PROVIDER}"}}"#);
    let mut opened = Vec::new();
    for (user, token) in kernels {
        let answer = line
            .ask(&request("POST /v1/sign-ins", &token, "", &body))
            .await?;
        let json = answer.json()?;
        ensure!(answer.status < 300, "opening a sign-in: {}", json["code"]);
        opened.push(Waiting {
            nonce: text(&json, "nonce")?,
            secret: text(&json, "poll_secret")?,
            link: text(&json, "sign_in_url")?,
            user,
            token,
        });
    }
    Ok(opened)
}

pub(crate) fn text(json: &Value, field: &str) -> anyhow::Result<String> {
    let text = json[field].as_str();
    Ok(text.with_context(|| format!("no {field}"))?.to_owned())
}
