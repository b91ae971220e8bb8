//! The settings files of the two servers, and the secrets that they name.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::Write as _;
use toml::{Table, Value};

use super::{DATA_API, LAB_API, StackOptions};
use crate::keycloak::Keycloak;
use crate::process::RunFolder;

/// Where everything listens, all on loopback.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The hub's proxy.
    pub hub: u16,
    /// The hub's own API.
    pub hub_api: u16,
    /// Keycloak.
    pub keycloak: u16,
    /// callback-server's public listener.
    pub callback: u16,
    /// Its health and metrics.
    pub callback_ops: u16,
    /// The broker's kernel listener.
    pub kernel: u16,
    /// Its internal listener.
    pub internal: u16,
    /// Its health and metrics.
    pub broker_ops: u16,
    /// The API of the provider `lab-api`.
    pub lab_api: u16,
    /// The API of the provider `data-api`.
    pub data_api: u16,
    /// Where browsers find callback-server.
    pub public_url: String,
}

/// Files with one random secret each, for this run only.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// What callback-server proves itself to the broker with.
    pub channel: PathBuf,
    /// The token of the service `hubkey` at the hub.
    pub hub_token: PathBuf,
    /// The secret of the client `hubkey` at Keycloak.
    pub client: PathBuf,
    /// What the broker seals with.
    pub sealing_key: PathBuf,
    /// What the broker hides names with.
    pub index_key: PathBuf,
}

impl Secrets {
    /// Makes them in the folder of a run.
    pub fn write(run: &RunFolder) -> anyhow::Result<Self> {
        let folder = run.folder("secrets")?;
        let file = |name: &str, content: &str| -> anyhow::Result<PathBuf> {
            let path = folder.join(name);
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(content.as_bytes())?;
            Ok(path)
        };
        Ok(Self {
            channel: file("channel", &random()?)?,
            hub_token: file("hub-token", &random()?)?,
            client: file("client", Keycloak::CLIENT_SECRET)?,
            sealing_key: file("sealing-key", &random()?)?,
            index_key: file("index-key", &random()?)?,
        })
    }
}

/// 32 random bytes as text.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .ok()
        .context("the system gives no random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The settings file of callback-server.
#[must_use]
pub fn callback_settings(ports: &Ports, secrets: &Secrets) -> String {
    let table = table([
        ("listen", loopback(ports.callback).into()),
        ("public_url", ports.public_url.clone().into()),
        ("channel_secret_file", text(&secrets.channel)),
        (
            "broker",
            table([("url", format!("http://127.0.0.1:{}", ports.internal).into())]).into(),
        ),
        ("ops", listener(ports.callback_ops)),
    ]);
    table.to_string()
}

/// The settings file of token-broker.
pub fn broker_settings(
    options: &StackOptions,
    ports: &Ports,
    secrets: &Secrets,
    redis_url: Option<&str>,
) -> anyhow::Result<String> {
    let mut settings = table([
        ("public_url", ports.public_url.clone().into()),
        ("site", table([("hub_name", "Example Hub".into())]).into()),
        ("kernel", listener(ports.kernel)),
        ("ops", listener(ports.broker_ops)),
        ("internal", internal(ports, secrets).into()),
        ("hub", hub(ports, secrets).into()),
        ("keys", keys(secrets).into()),
        ("providers", providers(ports, secrets).into()),
    ]);
    if let Some(url) = redis_url {
        let file = secrets.channel.with_file_name("redis-url");
        std::fs::write(&file, url)?;
        let redis = table([("url_file", text(&file))]);
        settings.insert("redis".to_owned(), redis.into());
    }
    let (first, last) = (&options.broker_settings, &options.more_broker_settings);
    Ok(format!("{first}\n{settings}\n{last}"))
}

fn internal(ports: &Ports, secrets: &Secrets) -> Table {
    table([
        ("listen", loopback(ports.internal).into()),
        ("channel_secret_file", text(&secrets.channel)),
    ])
}

fn hub(ports: &Ports, secrets: &Secrets) -> Table {
    let api_url = format!("http://127.0.0.1:{}/hub/api", ports.hub_api);
    let public_url = format!("http://127.0.0.1:{}", ports.hub);
    table([
        ("api_url", api_url.into()),
        ("public_url", public_url.into()),
        ("api_token_file", text(&secrets.hub_token)),
    ])
}

fn keys(secrets: &Secrets) -> Table {
    table([
        ("sealing_files", vec![text(&secrets.sealing_key)].into()),
        ("index_file", text(&secrets.index_key)),
    ])
}

/// Both providers are the realm `hubkey`, with another client and another audience.
fn providers(ports: &Ports, secrets: &Secrets) -> Table {
    let issuer = format!("http://localhost:{}/realms/hubkey", ports.keycloak);
    let api = |port: u16| list(&[&format!("http://127.0.0.1:{port}")]);
    let lab = table([
        ("display_name", "Example Lab".into()),
        ("issuer", issuer.clone().into()),
        ("client_id", Keycloak::CLIENT_ID.into()),
        ("client_secret_file", text(&secrets.client)),
        ("default_scopes", scopes("projects:read")),
        ("allowed_scopes", list(&["projects:write"])),
        ("scope_descriptions", list(&LAB_WORDS)),
        ("api_origins", api(ports.lab_api)),
    ]);
    let data = table([
        ("display_name", "Example Data".into()),
        ("issuer", issuer.into()),
        ("client_id", Keycloak::PUBLIC_CLIENT_ID.into()),
        ("client_authentication", "none".into()),
        ("default_scopes", scopes("data:read")),
        ("scope_descriptions", list(&["data:read=read data sets"])),
        ("api_origins", api(ports.data_api)),
    ]);
    table([(LAB_API, lab.into()), (DATA_API, data.into())])
}

const LAB_WORDS: [&str; 2] = [
    "projects:read=read your projects",
    "projects:write=change your projects",
];

fn scopes(own: &str) -> Value {
    list(&["openid", "profile", "email", own])
}

fn list(words: &[&str]) -> Value {
    words
        .iter()
        .map(|word| Value::from(*word))
        .collect::<Vec<_>>()
        .into()
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn listener(port: u16) -> Value {
    table([("listen", loopback(port).into())]).into()
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn text(path: &Path) -> Value {
    path.display().to_string().into()
}
