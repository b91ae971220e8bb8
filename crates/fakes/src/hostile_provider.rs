//! An OpenID provider that is honest until told otherwise, and then lies about exactly one thing.
//!
//! It speaks HTTP on a port of its own and signs everybody in at once as [`HostileProvider::sign_in_as`] said. What it
//! does wrong is data: a closure over the token before it is signed, over the parameters of the redirect, over a whole
//! reply; or a reply in place of the honest one. [`scenarios`] has the usual lies by the row that they test.
//!
//! Closures run while the provider is locked: they must not call the provider.

mod assertion;
mod authorize;
pub mod browser;
mod capabilities;
pub mod client;
pub mod draft;
mod endpoint;
mod exchange;
mod grants;
mod issued_grants;
pub mod keys;
mod logout;
mod metadata;
mod mutation;
mod pushed;
mod records;
mod refresh;
mod relayed;
pub mod scenarios;
mod signing_keys;
mod small_rsa;
mod state;
mod token;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::fake_http::server::bind;
use crate::fake_http::{Captured, Fake, FakeServer, Recorder, Reply, locked};
use state::State;

pub use assertion::RegisteredKey;
pub use browser::Redirected;
pub use capabilities::Capabilities;
pub use client::{Client, ClientAuth};
pub use draft::{Draft, Encoding};
pub use endpoint::Endpoint;
pub use grants::Rotation;
pub use issued_grants::IssuedGrants;
pub use keys::{Alg, SigningKey};
pub use records::{Account, AuthorizationResponse, Pushed, TokenKind};
pub use signing_keys::SigningKeys;

/// A running provider; it ends when dropped.
#[derive(Debug)]
pub struct HostileProvider {
    provider: Arc<Provider>,
    /// What others call it, if that is not where it listens.
    alias: Option<String>,
    server: FakeServer,
    http: reqwest::Client,
}

impl HostileProvider {
    /// Starts an honest provider with one RS256 key, the account `op-alice` and the public client `hubkey`.
    pub async fn start() -> anyhow::Result<Self> {
        let (listener, provider) = Provider::bind("http").await?;
        let server = FakeServer::serve(listener, Arc::clone(&provider))?;
        let http = browser::client(&[])?;
        Ok(Self {
            provider,
            alias: None,
            server,
            http,
        })
    }

    /// Starts one that speaks TLS, with a certificate that this authority has signed.
    pub async fn start_encrypted(authority: &Authority) -> anyhow::Result<Self> {
        let (listener, provider) = Provider::bind("https").await?;
        let pair = authority.issue(&["127.0.0.1"])?;
        let server = FakeServer::serve_encrypted(listener, Arc::clone(&provider), &pair)?;
        let http = browser::client(&[authority])?;
        Ok(Self {
            provider,
            alias: None,
            server,
            http,
        })
    }

    /// Starts one that speaks TLS under a name that no resolver knows: whoever is led to its address finds it.
    pub async fn start_encrypted_as(authority: &Authority, name: &str) -> anyhow::Result<Self> {
        let (listener, provider) = Provider::bind("https").await?;
        let address = listener
            .local_addr()
            .context("a bound listener has an address")?;
        let issuer = format!("https://{name}:{}", address.port());
        issuer.clone_into(&mut locked(&provider.state).issuer);
        let pair = authority.issue(&[name])?;
        let server = FakeServer::serve_encrypted(listener, Arc::clone(&provider), &pair)?;
        let http = browser::client_at(authority, (name, address))?;
        Ok(Self {
            provider,
            alias: Some(issuer),
            server,
            http,
        })
    }

    /// The issuer: `http://127.0.0.1:<port>`, or https, without a slash at the end.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.alias.clone().unwrap_or_else(|| self.server.url())
    }

    /// The same listener under another name of the host: `localhost`, `2130706433`, `[::ffff:127.0.0.1]`.
    #[must_use]
    pub fn url_at(&self, host: &str) -> String {
        format!("http://{host}:{}", self.server.address().port())
    }

    /// Down: connections break, new ones are closed at once.
    pub fn set_up(&self, up: bool) {
        self.server.set_up(up);
    }

    /// The keys that a provider publishes and signs with.
    #[must_use]
    pub fn signing_keys(&self) -> SigningKeys<'_> {
        SigningKeys(&self.provider.state)
    }

    /// What a provider has granted: how refresh tokens are traded, and what is taken back.
    #[must_use]
    pub fn grants(&self) -> IssuedGrants<'_> {
        IssuedGrants(&self.provider.state)
    }

    /// What a provider can do and how it writes what it gives out.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities<'_> {
        Capabilities(&self.provider.state)
    }

    /// Adds or replaces a client.
    pub fn register(&self, client: Client) {
        self.state().clients.insert(client.id.clone(), client);
    }

    /// Who signs in from now on.
    pub fn sign_in_as(&self, account: Account) {
        self.state().account = account;
    }

    /// Changes every token of this kind before it is signed.
    pub fn tokens(&self, kind: TokenKind, alter: impl Fn(&mut Draft) + Send + 'static) {
        self.state().tokens.entry(kind).or_default().always(alter);
    }

    /// Changes every ID token before it is signed.
    pub fn id_tokens(&self, alter: impl Fn(&mut Draft) + Send + 'static) {
        self.tokens(TokenKind::Id, alter);
    }

    /// Changes the next ID token only.
    pub fn next_id_token(&self, alter: impl FnOnce(&mut Draft) + Send + 'static) {
        self.state()
            .tokens
            .entry(TokenKind::Id)
            .or_default()
            .next(alter);
    }

    /// Changes the parameters of every redirect back to the client.
    pub fn authorization_responses(
        &self,
        alter: impl Fn(&mut AuthorizationResponse) + Send + 'static,
    ) {
        self.state().redirects.always(alter);
    }

    /// Changes the parameters of the next redirect only.
    pub fn next_authorization_response(
        &self,
        alter: impl FnOnce(&mut AuthorizationResponse) + Send + 'static,
    ) {
        self.state().redirects.next(alter);
    }

    /// Changes every honest reply of this endpoint, as whole: status, headers, bytes, pace.
    pub fn replies(&self, endpoint: Endpoint, alter: impl Fn(&mut Reply) + Send + 'static) {
        self.state()
            .replies
            .entry(endpoint)
            .or_default()
            .always(alter);
    }

    /// Changes the next honest reply of this endpoint only.
    pub fn next_reply(&self, endpoint: Endpoint, alter: impl FnOnce(&mut Reply) + Send + 'static) {
        self.state()
            .replies
            .entry(endpoint)
            .or_default()
            .next(alter);
    }

    /// Changes the discovery document.
    pub fn metadata(&self, alter: impl Fn(&mut Value) + Send + 'static) {
        self.replies(Endpoint::Discovery, move |reply| reply.edit_json(&alter));
    }

    /// Changes the key set.
    pub fn jwks(&self, alter: impl Fn(&mut Value) + Send + 'static) {
        self.replies(Endpoint::Jwks, move |reply| reply.edit_json(&alter));
    }

    /// Changes the JSON of every answer of the token endpoint: `token_type`, `expires_in`, `scope`.
    pub fn token_responses(&self, alter: impl Fn(&mut Value) + Send + 'static) {
        self.replies(Endpoint::Token, move |reply| reply.edit_json(&alter));
    }

    /// From now on this endpoint answers so and does nothing else: no code is redeemed, nothing is checked.
    pub fn answer(&self, endpoint: Endpoint, reply: Reply) {
        self.state().answers.insert(endpoint, reply);
    }

    /// The next answer of this endpoint; then it is honest again. Several wait in line.
    pub fn answer_next(&self, endpoint: Endpoint, reply: Reply) {
        self.state()
            .next_answers
            .entry(endpoint)
            .or_default()
            .push_back(reply);
    }

    /// Takes back every lie; clients, account and keys stay.
    pub fn be_honest(&self) {
        self.state().be_honest();
    }

    /// Plays the browser: opens an authorize URL of this provider and says where it leads.
    pub async fn authorize(&self, url: &str) -> anyhow::Result<Redirected> {
        browser::follow(&self.http, url).await
    }

    /// How often the endpoint was asked.
    #[must_use]
    pub fn hits(&self, endpoint: Endpoint) -> usize {
        self.provider.record.hits(endpoint)
    }

    /// What the endpoint was asked, oldest first.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint) -> Vec<Captured> {
        self.provider.record.requests(endpoint)
    }

    /// Forgets what was asked.
    pub fn forget_requests(&self) {
        self.provider.record.clear();
    }

    /// The tokens that were revoked.
    #[must_use]
    pub fn revoked(&self) -> Vec<String> {
        let requests = self.requests(Endpoint::Revocation);
        requests
            .iter()
            .filter_map(|request| request.form_value("token"))
            .collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        locked(&self.provider.state)
    }
}

#[derive(Debug)]
struct Provider {
    record: Recorder<Endpoint>,
    state: Mutex<State>,
}

impl Provider {
    async fn bind(scheme: &str) -> anyhow::Result<(TcpListener, Arc<Self>)> {
        let listener = bind("127.0.0.1:0").await?;
        let address = listener
            .local_addr()
            .context("a bound listener has an address")?;
        let provider = Self {
            record: Recorder::default(),
            state: Mutex::new(State::new(format!("{scheme}://{address}"))?),
        };
        Ok((listener, Arc::new(provider)))
    }
}

impl Fake for Provider {
    async fn answer(&self, request: Captured) -> Reply {
        let endpoint = Endpoint::of(&request.path);
        self.record.note(endpoint, request.clone());
        let mut state = locked(&self.state);
        if let Some(reply) = state.dictated(endpoint) {
            return reply;
        }
        let mut reply = state.honest(endpoint, &request);
        if let Some(mutations) = state.replies.get_mut(&endpoint) {
            mutations.apply(&mut reply);
        }
        reply
    }
}

impl State {
    fn dictated(&mut self, endpoint: Endpoint) -> Option<Reply> {
        let next = self
            .next_answers
            .get_mut(&endpoint)
            .and_then(VecDeque::pop_front);
        next.or_else(|| self.answers.get(&endpoint).cloned())
    }

    fn honest(&mut self, endpoint: Endpoint, request: &Captured) -> Reply {
        match endpoint {
            Endpoint::Discovery => Reply::json(&self.metadata()),
            Endpoint::Jwks => Reply::json(&json!({ "keys": self.jwks() })),
            Endpoint::Authorize => self.authorize(request),
            Endpoint::Token => self.token(request),
            Endpoint::UserInfo => self.userinfo(request),
            Endpoint::Revocation => self.revoke(request),
            Endpoint::PushedAuthorization => self.push(request),
            Endpoint::BrokerToken => self.stored_token(request),
            Endpoint::Other => Reply::new(http::StatusCode::NOT_FOUND),
        }
    }
}

#[cfg(test)]
mod tests;
