//! A real JupyterHub with JupyterLab, and the questions that tests ask it as an administrator would.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::process::{Process, RunFolder, Spec, checkout, free_port};
use crate::tools;
use hubkey_fakes::loopback;

const START: Duration = Duration::from_mins(2);
const SERVER_START: Duration = Duration::from_secs(90);
/// What a server says of a port that it finds taken.
const PORT_TAKEN: &str = "no available port could be found";

/// How the hub knows hubkey.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Where browsers find callback-server.
    pub public_url: String,
    /// Where kernels find the broker.
    pub broker_url: String,
    /// Where the hub's proxy finds callback-server, if it is a path on the hub's origin.
    pub callback_url: Option<String>,
    /// The file with the service's token, which the broker reads as well.
    pub api_token_file: PathBuf,
    /// The file with the authority of the broker's certificate, if the system does not know it.
    pub ca_file: Option<PathBuf>,
}

/// How a hub is to be set up.
#[derive(Debug, Clone, Default)]
pub struct HubOptions {
    /// The port of its proxy; a free one by default. Others need it before the hub starts.
    pub port: Option<u16>,
    /// The port of the hub's own listener; a free one by default.
    pub api_port: Option<u16>,
    /// Without it the hub knows nothing of hubkey.
    pub hubkey: Option<Registration>,
    /// The folder that holds the installed Python package `hubkey`.
    pub python_packages: Option<PathBuf>,
    /// More variables for every kernel.
    pub kernel_environment: Vec<(String, String)>,
    /// More lines of configuration, at the end.
    pub extra_config: String,
}

/// A running hub, always on 127.0.0.1: its cookies are not Keycloak's, which is on `localhost`.
#[derive(Debug)]
pub struct JupyterHub {
    process: Process,
    port: u16,
    api_port: u16,
    folder: PathBuf,
    /// The compose project whose containers the users' servers are.
    project: Option<String>,
    client: reqwest::Client,
}

impl JupyterHub {
    /// The password of every hub user.
    pub const PASSWORD: &'static str = "hub-dev-password";
    /// What the tests ask the hub with, as a service that may do everything.
    pub const TESTS_TOKEN: &'static str = "tests-service-token-for-development-only";

    /// Starts it and waits until it answers through its proxy.
    pub async fn start(run: &RunFolder, options: HubOptions) -> anyhow::Result<Self> {
        tools::require(&["python packages", "configurable-http-proxy"])?;
        let folder = run.folder("jupyterhub")?;
        let port = options.port.map_or_else(free_port, Ok)?;
        let api_port = options.api_port.map_or_else(free_port, Ok)?;
        std::fs::create_dir_all(folder.join("home"))?;
        let spec = specification(&options, &folder, port, api_port)?;
        let process = spec.start(run)?;
        let client = loopback::client()?;
        let mut hub = Self {
            process,
            port,
            api_port,
            folder,
            project: None,
            client,
        };
        let (client, api) = (hub.client.clone(), format!("{}/hub/api/", hub.url()));
        hub.process
            .ready(START, async || loopback::answers(&client, &api).await)
            .await?;
        Ok(hub)
    }

    /// One that runs in a container of a compose project: `process` follows what it writes.
    pub fn of_container(
        process: Process,
        port: u16,
        folder: PathBuf,
        project: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            process,
            port,
            api_port: port,
            folder,
            project: Some(project.to_owned()),
            client: loopback::client()?,
        })
    }

    /// One that somebody else started: `process` leads to it from a port of this machine, behind which is its proxy.
    pub fn behind(process: Process, port: u16, folder: PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            process,
            port,
            api_port: port,
            folder,
            project: None,
            client: loopback::client()?,
        })
    }

    /// The compose project, if it runs in a container.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// Its address for browsers, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of its API, reached without the proxy, as the broker's settings want it.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://127.0.0.1:{}/hub/api", self.api_port)
    }

    /// What it and its single-user servers have logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The home folder of a user's servers.
    #[must_use]
    pub fn home(&self, user: &str) -> PathBuf {
        self.folder.join("home").join(user)
    }

    /// The token with which tests act as an administrator.
    #[must_use]
    pub fn tests_token(&self) -> &'static str {
        Self::TESTS_TOKEN
    }

    /// Asks the hub's API as the administrator's service: method, path below `/hub/api`, body.
    pub async fn api(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.api_url());
        let mut request = self
            .client
            .request(method.clone(), &url)
            .bearer_auth(Self::TESTS_TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("{method} {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_server_error() {
            bail!(
                "{method} {path}: {status} {text}; the hub says:\n{}",
                self.process.tail()
            );
        }
        if !status.is_success() {
            bail!("{method} {path}: {status} {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Starts a user's server (`""` is the default one) and waits until it is ready. The hub chooses a port some time before the
    /// server takes it; where another program was faster, it is started again.
    pub async fn start_server(&self, user: &str, name: &str) -> anyhow::Result<()> {
        // A user who has never been here is made; one who has is left alone.
        let _ = self
            .api(reqwest::Method::POST, &format!("/users/{user}"), None)
            .await;
        let path = server_path(user, name);
        let mut tries = 3;
        while let Err(error) = self.api(reqwest::Method::POST, &path, None).await {
            tries -= 1;
            if tries == 0 || !self.process.tail().contains(PORT_TAKEN) {
                return Err(error);
            }
        }
        self.until_server(user, name, true).await
    }

    /// Stops a user's server and waits until it is gone.
    pub async fn stop_server(&self, user: &str, name: &str) -> anyhow::Result<()> {
        let path = server_path(user, name);
        self.api(reqwest::Method::DELETE, &path, None).await?;
        self.until_server(user, name, false).await
    }

    /// Makes an API token of a user with the given scopes (empty: everything the user may do).
    pub async fn user_token(&self, user: &str, scopes: &[&str]) -> anyhow::Result<String> {
        let mut body = json!({ "note": "made by a test" });
        if !scopes.is_empty() {
            body["scopes"] = json!(scopes);
        }
        let path = format!("/users/{user}/tokens");
        let answer = self.api(reqwest::Method::POST, &path, Some(body)).await?;
        Ok(answer["token"]
            .as_str()
            .context("no token in the answer")?
            .to_owned())
    }

    /// The base address of a user's server, with a slash at the end.
    #[must_use]
    pub fn server_url(&self, user: &str, name: &str) -> String {
        match name {
            "" => format!("{}/user/{user}/", self.url()),
            _ => format!("{}/user/{user}/{name}/", self.url()),
        }
    }

    async fn until_server(&self, user: &str, name: &str, wanted: bool) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let path = format!("/users/{user}?include_stopped_servers=true");
            let model = self.api(reqwest::Method::GET, &path, None).await?;
            let server = &model["servers"][name];
            let there = server["ready"] == true;
            let gone = server.is_null() || server["stopped"] == true;
            if if wanted { there } else { gone } {
                return Ok(());
            }
            if started.elapsed() > SERVER_START {
                let state = if wanted { "ready" } else { "gone" };
                bail!("the server {user}/{name} is not {state} after {SERVER_START:?}: {server}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn server_path(user: &str, name: &str) -> String {
    match name {
        "" => format!("/users/{user}/server"),
        _ => format!("/users/{user}/servers/{name}"),
    }
}

fn specification(
    options: &HubOptions,
    folder: &std::path::Path,
    port: u16,
    api_port: u16,
) -> anyhow::Result<Spec> {
    let proxy = json!([tools::node()?, tools::proxy()]).to_string();
    let environment: serde_json::Map<String, Value> = options
        .kernel_environment
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut spec = Spec::new("jupyterhub", tools::python())
        .args(["-m", "jupyterhub", "--config"])
        .arg(checkout().join("docker/jupyterhub/jupyterhub_config.py"))
        .env("HUB_FOLDER", folder)
        .env("HUB_PORT", port.to_string())
        .env("HUB_API_PORT", api_port.to_string())
        .env("HUB_PROXY_API_PORT", free_port()?.to_string())
        .env("HUB_PROXY_COMMAND", proxy)
        .env("HUB_PASSWORD", JupyterHub::PASSWORD)
        .env("HUB_TESTS_TOKEN", JupyterHub::TESTS_TOKEN)
        .env(
            "HUB_KERNEL_ENVIRONMENT",
            Value::Object(environment).to_string(),
        )
        .in_folder(folder);
    if let Some(packages) = &options.python_packages {
        spec = spec.env("PYTHONPATH", packages);
    }
    if let Some(hubkey) = &options.hubkey {
        spec = spec
            .env("HUBKEY_PUBLIC_URL", &hubkey.public_url)
            .env("HUBKEY_BROKER_URL", &hubkey.broker_url)
            .env("HUBKEY_API_TOKEN_FILE", &hubkey.api_token_file);
        if let Some(callback) = &hubkey.callback_url {
            spec = spec.env("HUBKEY_CALLBACK_URL", callback);
        }
        if let Some(file) = &hubkey.ca_file {
            spec = spec.env("HUBKEY_CA_FILE", file);
        }
    }
    if !options.extra_config.is_empty() {
        let file = folder.join("extra_config.py");
        std::fs::write(&file, &options.extra_config)?;
        spec = spec.env("HUB_EXTRA_CONFIG", file);
    }
    Ok(spec)
}
