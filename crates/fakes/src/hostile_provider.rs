//! An OpenID provider that is honest until told otherwise, and then lies about exactly one thing.
//!
//! It speaks HTTP on a port of its own and signs everybody in at once as [`HostileProvider::sign_in_as`] said. What it
//! does wrong is data: a closure over the token before it is signed, over the parameters of the redirect, over a whole
//! reply; or a reply in place of the honest one. [`scenarios`] has the usual lies by the row that they test.
//!
//! Closures run while the provider is locked: they must not call the provider.

mod alteration;
mod assertion;
mod authorize;
mod behind;
pub mod browser;
pub mod client;
pub mod draft;
mod endpoint;
mod exchange;
mod grants;
pub mod keys;
mod logout;
mod metadata;
mod pushed;
mod records;
mod refresh;
pub mod scenarios;
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
pub use client::{Client, ClientAuth};
pub use draft::{Draft, Encoding};
pub use endpoint::Endpoint;
pub use grants::Rotation;
pub use keys::{Alg, SigningKey};
pub use records::{Account, AuthorizationResponse, Pushed, TokenKind};

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

    /// Adds or replaces a client.
    pub fn register(&self, client: Client) {
        self.state().clients.insert(client.id.clone(), client);
    }

    /// Who signs in from now on.
    pub fn sign_in_as(&self, account: Account) {
        self.state().account = account;
    }

    /// Makes codes of so many characters from now on; some providers put a whole sealed record into them.
    pub fn use_codes_of(&self, length: usize) {
        self.state().code_length = Some(length);
    }

    /// Takes any code verifier, or none: a provider that does not know PKCE. Its metadata stays as it is.
    pub fn ignore_pkce(&self) {
        self.state().pkce = false;
    }

    /// Access tokens become JWTs of RFC 9068, to be changed as [`TokenKind::Access`].
    pub fn use_jwt_access_tokens(&self) {
        self.state().as_jwt.insert(TokenKind::Access);
    }

    /// Userinfo becomes a signed JWT, to be changed as [`TokenKind::UserInfo`].
    pub fn sign_userinfo(&self) {
        self.state().as_jwt.insert(TokenKind::UserInfo);
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

    /// What happens to a refresh token that is used; strict from the start.
    pub fn rotate_refresh_tokens(&self, rotation: Rotation) {
        self.state().grants.rotation = rotation;
    }

    /// Whether it takes pushed authorization requests; not from the start.
    pub fn take_pushed_requests(&self, mode: Pushed) {
        self.state().pushed.mode = mode;
    }

    /// Takes back every grant: the person signed out there, or an administrator did it.
    pub fn end_grants(&self) {
        self.state().grants.end();
    }

    /// Gives no token for this audience, resource or issuer any more, neither by exchange nor by refresh.
    pub fn refuse_target(&self, target: &str) {
        self.state().refused_targets.insert(target.to_owned());
    }

    /// Takes this access token for exchanges no more, as if its session had ended.
    pub fn forget_access_token(&self, token: &str) {
        self.state().issued.remove(token);
    }

    /// How often a refresh token was traded for new tokens.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.state().grants.refreshes
    }

    /// How often a refresh token came that had been used before; each ended its grant.
    #[must_use]
    pub fn reuses(&self) -> usize {
        self.state().grants.reuses
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

    /// Publishes new keys, one for each algorithm, and signs with the first.
    pub fn use_keys(&self, algs: &[Alg]) -> anyhow::Result<()> {
        self.state().use_keys(algs)
    }

    /// Publishes these keys and signs with the first.
    pub fn publish(&self, keys: Vec<SigningKey>) {
        self.state().ring = keys;
    }

    /// The published keys; the first signs.
    #[must_use]
    pub fn keys(&self) -> Vec<SigningKey> {
        self.state().ring.clone()
    }

    /// Replaces all keys by new ones of the same algorithms.
    pub fn rotate_keys(&self) -> anyhow::Result<()> {
        self.state().rotate()
    }

    /// Replaces all keys just before the next ID token is signed.
    pub fn rotate_keys_before_signing(&self) {
        self.state().rotate_before_signing = true;
    }

    /// Replaces the signing key by another of the same algorithm under the same `kid`.
    pub fn replace_key_under_its_kid(&self) -> anyhow::Result<()> {
        self.state().replace_under_kid()
    }

    /// An ID token outside of any flow, changed as [`Self::id_tokens`] says: for a validator's own tests.
    #[must_use]
    pub fn mint_id_token(&self, client_id: &str, nonce: &str) -> String {
        let mut state = self.state();
        let account = state.account.clone();
        let about = records::About {
            client_id,
            nonce: Some(nonce),
            account: &account,
            auth_time: None,
        };
        state.id_token(&about, None)
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
        if let Some(alterations) = state.replies.get_mut(&endpoint) {
            alterations.apply(&mut reply);
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
