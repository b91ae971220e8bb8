//! A second real provider: npm `oidc-provider`, certified for OpenID Connect. Stricter than Keycloak in places: a client
//! proves itself by key, pushes its requests, and loses a whole family of refresh tokens when one of them comes twice.

use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::Duration;

use hubkey_fakes::hostile_provider::SigningKey;
use hubkey_fakes::loopback;
use hubkey_starters::process::{Process, RunFolder, Spec};
use hubkey_starters::tools;

const SERVER: &str = include_str!("../../tools/oidc-provider/server.mjs");
const START: Duration = Duration::from_mins(2);

/// How it is set up.
#[derive(Debug)]
pub struct Registration<'a> {
    /// Where it listens.
    pub port: u16,
    /// Where the one client, `hubkey`, is reached by browsers.
    pub public_url: &'a str,
    /// Under which id the client knows this provider.
    pub provider: &'a str,
    /// The key by which the client proves itself.
    pub key: &'a SigningKey,
    /// The key by which the provider signs, as a private JWK.
    pub signs_with: Value,
}

/// A running provider, on `localhost`.
#[derive(Debug)]
pub struct OidcProvider {
    process: Process,
    issuer: String,
}

impl OidcProvider {
    /// The resource that tokens can be asked for.
    pub const API: &'static str = "https://api.example.org/v1";
    /// Seconds that an access token lives.
    pub const LIFETIME: u64 = 10;

    /// The issuer of one on this port.
    #[must_use]
    pub fn issuer_at(port: u16) -> String {
        format!("http://localhost:{port}")
    }

    /// Starts it.
    pub async fn start(run: &RunFolder, wanted: Registration<'_>) -> anyhow::Result<Self> {
        tools::require(&["python packages", "oidc-provider"])?;
        let folder = run.folder("oidc-provider")?;
        let (server, settings) = (folder.join("server.mjs"), folder.join("settings.json"));
        std::fs::write(&server, SERVER)?;
        std::fs::write(&settings, wanted.settings().to_string())?;
        let process = Spec::new("oidc-provider", tools::node()?)
            .arg(&server)
            .arg(tools::oidc_provider_modules())
            .arg(&settings)
            .start(run)?;
        let issuer = Self::issuer_at(wanted.port);
        let mut provider = Self { process, issuer };
        let discovery = format!("{}/.well-known/openid-configuration", provider.issuer);
        let client = loopback::client()?;
        let probe = async || loopback::answers(&client, &discovery).await;
        provider.process.ready(START, probe).await?;
        Ok(provider)
    }

    /// How often a refresh token was traded, and how often one was refused.
    #[must_use]
    pub fn refreshes(&self) -> (usize, usize) {
        let count = |event: &str| {
            let line = format!("event {event} refresh_token");
            let output = self.process.output();
            output
                .lines()
                .filter(|said| said.starts_with(&line))
                .count()
        };
        (count("grant.success"), count("grant.error"))
    }

    /// What it has logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }
}

impl Registration<'_> {
    fn settings(&self) -> Value {
        let Self {
            port,
            public_url,
            provider,
            ..
        } = self;
        json!({
            "issuer": OidcProvider::issuer_at(*port),
            "port": port,
            "lifetime": OidcProvider::LIFETIME,
            "apis": [OidcProvider::API],
            "keys": [self.signs_with],
            "clients": [{
                "client_id": "hubkey",
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "jwks": { "keys": [self.key.jwk()] },
                "redirect_uris": [format!("{public_url}/callback/{provider}")],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "require_pushed_authorization_requests": true,
                "backchannel_logout_uri": format!("{public_url}/backchannel-logout/{provider}"),
                "backchannel_logout_session_required": true,
            }],
        })
    }
}

/// A private key for the signatures of the provider itself, as a JWK; made by Node.js, since nothing here writes one.
pub fn provider_key() -> anyhow::Result<Value> {
    let script = "const k=require('crypto').generateKeyPairSync('rsa',{modulusLength:2048});\
                  console.log(JSON.stringify({...k.privateKey.export({format:'jwk'}),kid:'op-1',use:'sig',alg:'RS256'}))";
    let output = std::process::Command::new(tools::node()?)
        .args(["-e", script])
        .output()
        .context("node could not be run")?;
    serde_json::from_slice(&output.stdout).context("node made no key")
}
