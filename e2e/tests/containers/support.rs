//! The stack that these tests share, and a person on it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::Person;
use hubkey_e2e::real::server_token::kernel_of_server;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::containers::Compose;
use hubkey_e2e::stack::{LAB_API, Stack, StackOptions};
use hubkey_fakes::kernel_api::KernelApi;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) type Outcome = anyhow::Result<()>;

/// How long a stack may take to be well again; Keycloak is the slowest.
pub(crate) const RECOVERY: Duration = Duration::from_mins(3);

static STACK: OnceCell<Stack> = OnceCell::const_new();
static PEACE: RwLock<()> = RwLock::const_new(());

async fn stack() -> anyhow::Result<&'static Stack> {
    let start = || Stack::start_on_containers("containers", StackOptions::default());
    STACK.get_or_try_init(start).await
}

/// The stack, with all its parts well for as long as the guard lives.
pub(crate) async fn in_peace() -> anyhow::Result<(&'static Stack, RwLockReadGuard<'static, ()>)> {
    let guard = PEACE.read().await;
    Ok((stack().await?, guard))
}

/// The stack, for one test alone that breaks it and mends it.
pub(crate) async fn alone() -> anyhow::Result<(&'static Stack, RwLockWriteGuard<'static, ()>)> {
    let guard = PEACE.write().await;
    Ok((stack().await?, guard))
}

/// The compose project of a stack of containers.
pub(crate) fn compose(stack: &Stack) -> anyhow::Result<&Compose> {
    stack.compose.as_ref().context("a stack of containers")
}

/// A person with a running server, who has connected to `lab-api`.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) person: Person,
    pub(crate) api: KernelApi,
    pub(crate) browser: Browser,
    connection: String,
    signed_in: Instant,
}

impl Connected {
    pub(crate) async fn new(stack: &Stack) -> anyhow::Result<Self> {
        let person = stack.new_person().await?;
        stack.hub.start_server(&person.name, "").await?;
        let api = kernel_of_server(stack.broker.url(), &stack.hub, &person.name, "")?;
        let browser = Browser::start(&stack.run, &person.name).await?;
        let mut connected = Self {
            person,
            api,
            browser,
            connection: String::new(),
            signed_in: Instant::now(),
        };
        connected.sign_in(LAB_API).await?;
        Ok(connected)
    }

    /// Goes through a whole sign-in at a provider that is not connected. Gives the pages that were met.
    pub(crate) async fn sign_in(&mut self, provider: &str) -> anyhow::Result<Vec<Page>> {
        let opened = self.api.open(provider).await?;
        let met = self
            .browser
            .open_sign_in(&opened.link, &self.person)
            .await?;
        let (state, answer) = self.api.result(&opened).await?;
        ensure!(state == "connected", "the sign-in ended {state}");
        let id = answer["connection"]["id"].as_str();
        id.context("no connection")?
            .clone_into(&mut self.connection);
        self.signed_in = Instant::now();
        Ok(met)
    }

    /// Asks for a token of the connection.
    pub(crate) async fn token(&self) -> anyhow::Result<(StatusCode, Value)> {
        self.token_valid_for(0).await
    }

    /// Asks for a token that is valid for so many seconds more.
    pub(crate) async fn token_valid_for(
        &self,
        seconds: u64,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let path = format!("/v1/connections/{}/token", self.connection);
        let body = json!({ "min_valid_seconds": seconds });
        self.api.ask(Method::POST, &path, Some(body), &[]).await
    }

    /// The access token itself.
    pub(crate) async fn access_token(&self) -> anyhow::Result<String> {
        let (_, answer) = self.token().await?;
        let token = answer["access_token"].as_str();
        Ok(token.context("no access token")?.to_owned())
    }

    /// How long ago the last sign-in ended.
    pub(crate) fn age(&self) -> Duration {
        self.signed_in.elapsed()
    }

    /// Asks for a sign-in.
    pub(crate) async fn open(&self) -> anyhow::Result<(StatusCode, Value)> {
        let body = json!({ "provider": "data-api" });
        let path = "/v1/sign-ins";
        self.api.ask(Method::POST, path, Some(body), &[]).await
    }

    /// Waits until a token is given again; says how long that took.
    pub(crate) async fn until_served(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        while started.elapsed() < RECOVERY {
            if let Ok((StatusCode::OK, _)) = self.token().await {
                return Ok(started.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("no token after {RECOVERY:?}: {:?}", self.token().await)
    }
}

/// Runs a question and says how long its answer took.
pub(crate) async fn timed<T>(
    question: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Duration)> {
    let started = Instant::now();
    Ok((question.await?, started.elapsed()))
}

/// An answer that says "later" has to come within this; a second of it is promised, the rest is a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(3);

/// Asks for a token and for a sign-in: both are refused with this code, soon.
pub(crate) async fn refused(person: &Connected, code: &str) -> Outcome {
    let (token, token_time) = timed(person.token()).await?;
    let (sign_in, sign_in_time) = timed(person.open()).await?;
    for (status, answer) in [token, sign_in] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert_eq!(answer["code"], code);
    }
    assert!(
        token_time < SOON && sign_in_time < SOON,
        "{token_time:?} {sign_in_time:?}"
    );
    Ok(())
}

/// When the broker's process started, and whether it ever fell over.
pub(crate) fn life(compose: &Compose) -> anyhow::Result<String> {
    let container = compose.container("token-broker");
    let output = std::process::Command::new("docker")
        .args([
            "inspect",
            "--format",
            "{{.State.StartedAt}} {{.RestartCount}}",
        ])
        .arg(container)
        .output()?;
    ensure!(output.status.success(), "the broker's container is gone");
    Ok(String::from_utf8(output.stdout)?)
}

/// Waits until a question is refused with this code; a fault takes a moment to get there.
pub(crate) async fn until_refused(
    code: &str,
    mut question: impl AsyncFnMut() -> anyhow::Result<(StatusCode, Value)>,
) -> Outcome {
    for _ in 0..40 {
        let (status, answer) = question().await?;
        if status != StatusCode::OK && status != StatusCode::CREATED {
            ensure!(answer["code"] == code, "{status} {answer}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    bail!("nothing was refused")
}

/// Looks for secrets in what both servers wrote.
pub(crate) fn nothing_leaked(stack: &Stack, canaries: &Canaries) -> Outcome {
    ensure!(canaries.count("access token") > 0, "no secret was seen");
    for server in [&stack.broker, &stack.callback_server] {
        let text = server.output();
        ensure!(!text.is_empty(), "{} wrote nothing", server.url());
        assert_eq!(canaries.found_in(text.as_bytes()), [""; 0]);
    }
    Ok(())
}
