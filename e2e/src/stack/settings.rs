//! The settings files of the two servers, and the secrets that they name.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::options::{DATA_API, LAB_API, StackOptions};
use crate::real::keycloak::Keycloak;
use hubkey_starters::process::{RunFolder, free_port};
use hubkey_starters::redis::Redis;

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

impl Ports {
    /// A free port for each part.
    pub fn free(shared_origin: bool) -> anyhow::Result<Self> {
        let (hub, callback) = (free_port()?, free_port()?);
        let public_url = if shared_origin {
            format!("http://127.0.0.1:{hub}/services/hubkey")
        } else {
            format!("http://127.0.0.1:{callback}")
        };
        Ok(Self {
            hub,
            hub_api: free_port()?,
            keycloak: free_port()?,
            callback,
            callback_ops: free_port()?,
            kernel: free_port()?,
            internal: free_port()?,
            broker_ops: free_port()?,
            lab_api: free_port()?,
            data_api: free_port()?,
            public_url,
        })
    }
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
    pub encryption_key: PathBuf,
    /// What it opens with too.
    pub second_encryption_key: PathBuf,
    /// What the broker hides names with.
    pub lookup_mac_key: PathBuf,
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
            encryption_key: file("encryption-key", &random()?)?,
            second_encryption_key: file("second-encryption-key", &random()?)?,
            lookup_mac_key: file("lookup-mac-key", &random()?)?,
        })
    }
}

/// 32 random bytes as text.
pub(crate) fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .ok()
        .context("the system gives no random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The settings file of callback-server.
#[must_use]
pub fn callback_settings(options: &StackOptions, ports: &Ports, secrets: &Secrets) -> String {
    let filter = options.log_filter();
    let Ports {
        callback,
        callback_ops,
        internal,
        public_url,
        ..
    } = ports;
    let channel = secrets.channel.display();
    format!(
        r#"
listen = "127.0.0.1:{callback}"
public_url = "{public_url}"
shared_secret_file = "{channel}"

[broker]
url = "http://127.0.0.1:{internal}"

[ops]
listen = "127.0.0.1:{callback_ops}"

[log]
format = "json"
filter = "{filter}"
"#
    )
}

/// The settings file of token-broker.
pub fn broker_settings(
    options: &StackOptions,
    ports: &Ports,
    secrets: &Secrets,
    redis_url: Option<&str>,
) -> anyhow::Result<String> {
    let Ports {
        kernel,
        internal,
        broker_ops,
        hub,
        hub_api,
        public_url,
        ..
    } = ports;
    let files = [&secrets.channel, &secrets.hub_token];
    let [channel, hub_token] = files.map(|file| file.display());
    let first = &options.broker_settings;
    // Where Keycloak is, is known only now.
    let port = ports.keycloak.to_string();
    let last = options.more_broker_settings.replace("{keycloak}", &port);
    let filter = options.log_filter();
    let keys = key_settings(secrets);
    let redis = redis_settings(secrets, redis_url)?;
    let providers = providers(ports, secrets);
    Ok(format!(
        r#"
public_url = "{public_url}"
{first}

[site]
hub_name = "Example Hub"

[kernel]
listen = "127.0.0.1:{kernel}"

[internal]
listen = "127.0.0.1:{internal}"
shared_secret_file = "{channel}"

[ops]
listen = "127.0.0.1:{broker_ops}"

[log]
format = "json"
filter = "{filter}"

[hub]
api_url = "http://127.0.0.1:{hub_api}/hub/api"
public_url = "http://127.0.0.1:{hub}"
api_token_file = "{hub_token}"

{keys}{redis}{providers}{last}"#
    ))
}

/// The broker's settings with the certificate of the folder `kernel-tls`, and with Redis's authority.
pub(super) fn encrypted(settings: &str, run: &RunFolder, redis: Option<&Redis>) -> String {
    let file = |key: &str, path: PathBuf| format!("{key} = \"{}\"\n", path.display());
    let kernel = [
        "[kernel]\n".to_owned(),
        file("certificate_file", run.join("kernel-tls/tls.crt")),
        file("certificate_key_file", run.join("kernel-tls/tls.key")),
    ];
    let settings = settings.replace("[kernel]\n", &kernel.concat());
    let Some(authority) = redis.and_then(Redis::ca_file) else {
        return settings;
    };
    settings.replace(
        "[redis]\n",
        &format!("[redis]\n{}", file("ca_file", authority)),
    )
}

fn key_settings(secrets: &Secrets) -> String {
    let files = [
        &secrets.encryption_key,
        &secrets.second_encryption_key,
        &secrets.lookup_mac_key,
    ];
    let [first, second, index] = files.map(|file| file.display());
    format!(
        "[keys]\nencryption_key_files = [\"{first}\", \"{second}\"]\nlookup_mac_key_file = \"{index}\"\n"
    )
}

/// The address holds the password, so it is a secret with a file of its own.
fn redis_settings(secrets: &Secrets, url: Option<&str>) -> anyhow::Result<String> {
    let Some(url) = url else {
        return Ok(String::new());
    };
    let file = secrets.channel.with_file_name("redis-url");
    std::fs::write(&file, url)?;
    let file = file.display();
    Ok(format!("\n[redis]\nurl_file = \"{file}\"\n"))
}

/// Both providers are the realm `hubkey`, with another client and another audience.
fn providers(ports: &Ports, secrets: &Secrets) -> String {
    let Ports {
        keycloak,
        lab_api,
        data_api,
        ..
    } = ports;
    let client_secret = secrets.client.display();
    let (client, public_client) = (Keycloak::CLIENT_ID, Keycloak::PUBLIC_CLIENT_ID);
    format!(
        r#"
[providers.{LAB_API}]
display_name = "Example Lab"
issuer = "http://localhost:{keycloak}/realms/hubkey"
client_id = "{client}"
client_secret_file = "{client_secret}"
default_scopes = ["openid", "profile", "email", "projects:read"]
allowed_scopes = ["projects:write"]
# So that tests see the request in the browser; the other provider pushes it.
pushed_authorization = "never"
scope_descriptions = [
  "email=see your e-mail address",
  "openid=know that it is you",
  "profile=see your name",
  "projects:read=read your projects",
  "projects:write=change your projects",
]
api_origins = ["http://127.0.0.1:{lab_api}"]

[providers.{LAB_API}.token_exchange]
# Keycloak gives an audience with its scope only, and knows no client of the last name.
allowed_audiences = ["{DATA_API}", "{LAB_API}", "billing-api"]
allowed_scopes = ["data:read", "email"]
default_scopes = ["{DATA_API}=data:read"]
api_origins = ["{DATA_API}=http://127.0.0.1:{data_api}"]

[providers.{DATA_API}]
display_name = "Example Data"
issuer = "http://localhost:{keycloak}/realms/hubkey"
client_id = "{public_client}"
token_endpoint_auth_method = "none"
default_scopes = ["openid", "profile", "email", "data:read"]
scope_descriptions = [
  "email=see your e-mail address",
  "openid=know that it is you",
  "profile=see your name",
  "data:read=read data sets",
]
api_origins = ["http://127.0.0.1:{data_api}"]
"#
    )
}
