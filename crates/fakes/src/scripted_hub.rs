//! A JupyterHub that answers as told: user models by token, the Hub's OAuth for one or more services, shares and
//! faults. It speaks HTTP, so that what is tested is the real client.
//!
//! Who is logged in in "this browser" is said by the cookie [`BROWSER_COOKIE`], or for all browsers at once by
//! [`ScriptedHub::log_in_every_browser`].

mod browser;
mod client;
mod endpoint;
pub mod models;
mod state;

use std::collections::HashSet;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::fake_http::{Captured, Fake, FakeServer, Recorder, Reply, locked, random_hex};
use endpoint::{hub_token, refusal};
use state::{Known, State};

pub use browser::BROWSER_COOKIE;
pub use client::HubClient;
pub use endpoint::{Fault, HubEndpoint};

/// A running scripted Hub; it ends when dropped.
#[derive(Debug)]
pub struct ScriptedHub {
    hub: Arc<Hub>,
    server: FakeServer,
}

impl ScriptedHub {
    /// Starts a Hub that knows nobody.
    pub async fn start() -> anyhow::Result<Self> {
        let hub = Arc::new(Hub::default());
        let server = FakeServer::start(Arc::clone(&hub)).await?;
        Ok(Self { hub, server })
    }

    /// The Hub's origin, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What a server finds as `JUPYTERHUB_API_URL`: the origin and `/hub/api`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/hub/api", self.url())
    }

    /// Starts a server of this user (`""` is the default server) under the Hub configuration that hubkey ships, and
    /// gives its token. An earlier token of the same server stays valid until [`Self::revoke`].
    #[must_use]
    pub fn server_token(&self, user: &str, server: &str) -> String {
        locked(&self.hub.state).add_server(user, server);
        self.token_of(models::server(user, server))
    }

    /// A new token that answers with this model.
    #[must_use]
    pub fn token_of(&self, model: Value) -> String {
        let token = random_hex(16);
        self.set_model(&token, model);
        token
    }

    /// A new token that answers with anything: HTML, doubled keys, a late or broken reply.
    #[must_use]
    pub fn token_with_reply(&self, reply: Reply) -> String {
        let token = random_hex(16);
        locked(&self.hub.state)
            .tokens
            .insert(token.clone(), Known::Reply(reply));
        token
    }

    /// From now on this token, known or new, answers with this model.
    pub fn set_model(&self, token: &str, model: Value) {
        locked(&self.hub.state)
            .tokens
            .insert(token.to_owned(), Known::Model(model));
    }

    /// Makes the token unknown, as when its server stopped.
    pub fn revoke(&self, token: &str) {
        locked(&self.hub.state).tokens.remove(token);
    }

    /// From now on the Hub says that it made this user then; nothing: it says `null`. A token sees it only with the scope
    /// `read:users!user`, as the tokens of servers and browsers have it under the configuration that hubkey ships.
    pub fn made(&self, user: &str, created: Option<&str>) {
        let created = created.map_or(Value::Null, Value::from);
        locked(&self.hub.state)
            .made
            .insert(user.to_owned(), created);
    }

    /// Renames a user, who keeps their tokens and the time when they were made.
    pub fn rename(&self, old: &str, new: &str) {
        locked(&self.hub.state).rename(old, new);
    }

    /// Deletes a user with their tokens.
    pub fn delete_user(&self, user: &str) {
        locked(&self.hub.state).delete_user(user);
    }

    /// Changes the model of every token that a browser got by OAuth, those to come included: another user (B6), no
    /// `session_id`, no access scope.
    pub fn alter_browser_models(&self, alter: impl Fn(&mut Value) + Send + 'static) {
        locked(&self.hub.state).alter_browser_models = Some(Box::new(alter));
    }

    /// Registers an OAuth client, as an entry in `c.JupyterHub.services` does.
    pub fn register(&self, client: HubClient) {
        locked(&self.hub.state)
            .clients
            .insert(client.id.clone(), client);
    }

    /// Who is logged in in a browser without the cookie; `None` leads to the login page.
    pub fn log_in_every_browser(&self, user: Option<&str>) {
        locked(&self.hub.state).default_user = user.map(str::to_owned);
    }

    /// Logs the user out everywhere: the tokens of the user's browser session die, server tokens live on.
    pub fn log_out(&self, user: &str) {
        locked(&self.hub.state).log_out(user);
    }

    /// Takes `access:services!service=…` from the user: authorize answers 403.
    pub fn forbid_services(&self, user: &str) {
        locked(&self.hub.state)
            .without_services
            .insert(user.to_owned());
    }

    /// Whom the server is shared with.
    pub fn share(&self, user: &str, server: &str, with: &[&str]) {
        let with = with.iter().map(|&name| name.to_owned()).collect();
        locked(&self.hub.state)
            .shares
            .insert((user.to_owned(), server.to_owned()), with);
    }

    /// From now on this endpoint answers so, whatever is asked.
    pub fn answer(&self, endpoint: HubEndpoint, reply: Reply) {
        locked(&self.hub.state).answers.insert(endpoint, reply);
    }

    /// Takes back [`Self::answer`].
    pub fn answer_honestly(&self, endpoint: HubEndpoint) {
        locked(&self.hub.state).answers.remove(&endpoint);
    }

    /// What is wrong from now on; [`Fault::None`] heals.
    pub fn fault(&self, fault: Fault) {
        locked(&self.hub.state).fault = fault;
        self.server.set_up(fault != Fault::Down);
    }

    /// How often the endpoint was asked.
    #[must_use]
    pub fn hits(&self, endpoint: HubEndpoint) -> usize {
        self.hub.record.hits(endpoint)
    }

    /// What the endpoint was asked.
    #[must_use]
    pub fn requests(&self, endpoint: HubEndpoint) -> Vec<Captured> {
        self.hub.record.requests(endpoint)
    }

    /// How many different tokens `/hub/api/user` saw.
    #[must_use]
    pub fn distinct_tokens(&self) -> usize {
        let requests = self.requests(HubEndpoint::User);
        requests
            .iter()
            .filter_map(hub_token)
            .collect::<HashSet<_>>()
            .len()
    }

    /// Forgets what was asked.
    pub fn forget_requests(&self) {
        self.hub.record.clear();
    }
}

#[derive(Debug, Default)]
struct Hub {
    record: Recorder<HubEndpoint>,
    state: std::sync::Mutex<State>,
}

impl Fake for Hub {
    async fn answer(&self, request: Captured) -> Reply {
        let endpoint = HubEndpoint::of(&request.path);
        self.record.note(endpoint, request.clone());
        if let Some(reply) = locked(&self.state).answers.get(&endpoint) {
            return reply.clone();
        }
        let fault = locked(&self.state).fault;
        match fault {
            Fault::None | Fault::Down => {}
            Fault::Status(code) => return faulty(code),
            Fault::Html => return Reply::html("<!doctype html><title>Please wait</title>"),
            Fault::Slow(delay) => tokio::time::sleep(delay).await,
            Fault::Hang => std::future::pending().await,
        }
        self.honest(endpoint, &request)
    }
}

impl Hub {
    fn honest(&self, endpoint: HubEndpoint, request: &Captured) -> Reply {
        let mut state = locked(&self.state);
        match endpoint {
            HubEndpoint::User => state.user(request),
            HubEndpoint::Shares => state.shares(request),
            HubEndpoint::Authorize => state.authorize(request),
            HubEndpoint::Token => state.redeem(request),
            HubEndpoint::Login => browser::login(request),
            HubEndpoint::Logout => state.browser_logout(request),
            HubEndpoint::Other => refusal(StatusCode::NOT_FOUND, "Not Found"),
        }
    }
}

fn faulty(code: u16) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    refusal(status, "Internal Server Error")
}

#[cfg(test)]
mod tests;
