//! Codes and ID tokens as long as they occur, through the two servers as an operator starts them, between a scripted Hub and
//! a provider that sends what it is told to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hubkey_e2e::stack::Secrets;
use hubkey_e2e::stack::servers::{self, Server};
use hubkey_fakes::hostile_provider::{Draft, HostileProvider, TokenKind};
use hubkey_fakes::http_browser::{HttpBrowser, Met};
use hubkey_fakes::kernel_api::{KernelApi, Opened};
use hubkey_fakes::loopback;
use hubkey_fakes::scripted_hub::{HubClient, ScriptedHub};
use hubkey_starters::process::{RunFolder, free_port};
use reqwest::Method;
use serde_json::{Value, json};

type Outcome = anyhow::Result<()>;

const PROVIDER: &str = "lab-api";
const SOON: Duration = Duration::from_secs(2);
/// Of each long code; see the provider.
const IN_EACH_CODE: &str = "a-b_c.d0a-b_c.d0";

/// Everything that runs. What is named first is ended first.
struct Site {
    callback_server: Server,
    broker: Server,
    provider: HostileProvider,
    hub: ScriptedHub,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let programs = servers::build()?;
        let (hub, provider) = (ScriptedHub::start().await?, HostileProvider::start().await?);
        let ground = Ground::new()?;
        let token = std::fs::read_to_string(&ground.secrets.hub_token)?;
        let redirect_uri = format!("http://127.0.0.1:{}/oauth_callback", ground.public);
        hub.register(HubClient::hubkey(&token, &redirect_uri));
        let settings = ground.broker_settings(&hub, &provider);
        let at = (ground.kernel, ground.broker_ops);
        let program = programs.join("token-broker");
        let broker = ground.serve(&program, &settings, at).await?;
        let at = (ground.public, ground.callback_ops);
        let settings = ground.callback_settings();
        let program = programs.join("callback-server");
        let callback_server = ground.serve(&program, &settings, at);
        Ok(Self {
            callback_server: callback_server.await?,
            broker,
            provider,
            hub,
        })
    }

    /// A person with a server, and a sign-in that it opened.
    async fn person(&self, name: &str) -> anyhow::Result<(KernelApi, HttpBrowser, Opened)> {
        let kernel = KernelApi::new(self.broker.url(), self.hub.server_token(name, ""))?;
        let account = hubkey_fakes::hostile_provider::Account::new(&format!("op-{name}"));
        self.provider.sign_in_as(account);
        let site = self.callback_server.url();
        let browser = HttpBrowser::new(loopback::client()?, site, name)?;
        let opened = kernel.open(PROVIDER).await?;
        Ok((kernel, browser, opened))
    }

    /// A whole sign-in; gives the kernel and its connection.
    async fn sign_in(&self, name: &str) -> anyhow::Result<(KernelApi, Value)> {
        let (kernel, mut browser, opened) = self.person(name).await?;
        let question = browser.open(&opened.link).await?;
        browser.connect(question).await?;
        let (state, answer) = kernel.result(&opened).await?;
        ensure!(state == "connected", "{name}: {answer}");
        Ok((kernel, answer))
    }

    /// A sign-in while its kernel polls. Gives the page at its end and the kernel's answer, both in time.
    async fn end(&self, name: &str) -> anyhow::Result<(Met, Value)> {
        let (kernel, mut browser, opened) = self.person(name).await?;
        let begun = Instant::now();
        let both = tokio::try_join!(browser.visit(&opened.link), kernel.result(&opened));
        let (met, (_, answer)) = both.with_context(|| name.to_owned())?;
        ensure!(begun.elapsed() < SOON, "{name}: {:?}", begun.elapsed());
        Ok((met, answer))
    }

    fn assert_no_code_in_a_log(&self) {
        for server in [&self.broker, &self.callback_server] {
            assert!(!server.output().contains(IN_EACH_CODE));
        }
    }
}

/// Addresses and secrets, before anything runs.
struct Ground {
    run: RunFolder,
    secrets: Secrets,
    public: u16,
    callback_ops: u16,
    kernel: u16,
    internal: u16,
    broker_ops: u16,
}

impl Ground {
    fn new() -> anyhow::Result<Self> {
        let run = RunFolder::create("sizes")?;
        Ok(Self {
            secrets: Secrets::write(&run)?,
            run,
            public: free_port()?,
            callback_ops: free_port()?,
            kernel: free_port()?,
            internal: free_port()?,
            broker_ops: free_port()?,
        })
    }

    fn broker_settings(&self, hub: &ScriptedHub, provider: &HostileProvider) -> String {
        let Self {
            public,
            kernel,
            internal,
            broker_ops,
            ..
        } = self;
        format!(
            r#"
public_url = "http://127.0.0.1:{public}"
[kernel]
listen = "127.0.0.1:{kernel}"
[internal]
listen = "127.0.0.1:{internal}"
shared_secret_file = "{channel}"
[ops]
listen = "127.0.0.1:{broker_ops}"
[log]
filter = "trace"
[hub]
api_url = "{api_url}"
public_url = "{hub_url}"
api_token_file = "{hub_token}"
[providers.{PROVIDER}]
issuer = "{issuer}"
client_id = "hubkey"
token_endpoint_auth_method = "none"
default_scopes = ["openid", "profile", "email"]
"#,
            channel = self.secrets.channel.display(),
            api_url = hub.api_url(),
            hub_url = hub.url(),
            hub_token = self.secrets.hub_token.display(),
            issuer = provider.issuer(),
        )
    }

    fn callback_settings(&self) -> String {
        let (public, internal, ops) = (self.public, self.internal, self.callback_ops);
        format!(
            r#"
listen = "127.0.0.1:{public}"
public_url = "http://127.0.0.1:{public}"
shared_secret_file = "{channel}"
[broker]
url = "http://127.0.0.1:{internal}"
[ops]
listen = "127.0.0.1:{ops}"
[log]
filter = "trace"
"#,
            channel = self.secrets.channel.display(),
        )
    }

    /// Starts a program with these settings, at its port and its port for operations.
    async fn serve(
        &self,
        program: &Path,
        settings: &str,
        (port, ops): (u16, u16),
    ) -> anyhow::Result<Server> {
        let file = self.run.join(format!("{port}.toml"));
        std::fs::write(&file, settings)?;
        let address = format!("http://127.0.0.1:{port}");
        Server::start(&self.run, program, &file, address, ops).await
    }
}

/// Groups in a token that is then about so long.
fn fill(token: &mut Draft, length: usize) {
    let group = "00000000-0000-4000-8000-000000000000";
    let claims = length / 4 * 3;
    let left = claims.saturating_sub(token.claims.to_string().len() + 400);
    let groups = vec![group; left / (group.len() + 3)];
    token.claim("groups", groups);
}

#[tokio::test]
async fn found_c1_codes_as_they_occur_pass_both_servers() -> Outcome {
    let site = Site::start().await?;
    for length in [3100, 3900, 4100, 5000, 8192] {
        site.provider.capabilities().use_codes_of(length);
        site.sign_in(&format!("person-{length}")).await?;
    }
    site.assert_no_code_in_a_log();
    Ok(())
}

#[tokio::test]
async fn found_c1_longer_codes_end_page_and_kernel_in_two_seconds() -> Outcome {
    let site = Site::start().await?;
    for length in [8193, 12_000, 13_000, 20_000, 40_000, 60_000] {
        site.provider.capabilities().use_codes_of(length);
        let (page, answer) = site.end(&format!("person-{length}")).await?;
        assert_eq!(answer["status"], "failed", "{length}: {answer}");
        assert_eq!(answer["reason"], "answer_too_long", "{length}");
        assert!(page.text.contains("is too long"), "{}", page.text);
        assert!(page.url.path().starts_with("/sign-in/"), "{}", page.url);
    }
    site.assert_no_code_in_a_log();
    Ok(())
}

#[tokio::test]
async fn found_c2_tokens_of_people_in_many_groups_sign_in_and_refresh() -> Outcome {
    let site = Site::start().await?;
    site.provider.capabilities().use_jwt_access_tokens();
    for length in [20_000, 40_000, 64 * 1024 - 500] {
        for kind in [TokenKind::Id, TokenKind::Access] {
            site.provider.tokens(kind, move |token| fill(token, length));
        }
        site.provider
            .next_reply(hubkey_fakes::hostile_provider::Endpoint::Token, |reply| {
                reply.edit_json(|answer| answer["expires_in"] = json!(2));
            });
        let (kernel, first) = site.sign_in(&format!("person-{length}")).await?;
        let id = first["connection"]["id"].as_str().context("no id")?;
        let path = format!("/v1/connections/{id}/token");
        tokio::time::sleep(Duration::from_secs(3)).await;
        let body = Some(json!({ "min_valid_seconds": 0 }));
        let (status, next) = kernel.ask(Method::POST, &path, body, &[]).await?;
        assert_eq!(status, 200, "{}", next["code"]);
        let (first, next) = (&first["token"]["access_token"], &next["access_token"]);
        assert_ne!(first, next);
        assert!(next.as_str().context("no token")?.len() > length - 2000);
        site.provider.be_honest();
    }
    Ok(())
}

#[tokio::test]
async fn found_c2_longer_id_tokens_and_answers_end_page_and_kernel_in_two_seconds() -> Outcome {
    let site = Site::start().await?;
    for length in [64 * 1024 + 1000, 100_000, 400_000] {
        site.provider
            .next_id_token(move |token| fill(token, length));
        let (page, answer) = site.end(&format!("person-{length}")).await?;
        assert_eq!(answer["reason"], "answer_too_long", "{length}: {answer}");
        assert!(page.text.contains("is too long"), "{}", page.text);
    }
    Ok(())
}
