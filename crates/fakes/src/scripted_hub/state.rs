//! What the scripted Hub knows, and its API for tokens and shares.

use std::collections::{HashMap, HashSet};
use std::fmt;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::client::{Code, HubClient};
use super::{Fault, HubEndpoint, hub_token, models, refusal};
use crate::fake_http::{Captured, Reply};

/// What a token answers.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Model(Value),
    /// A model of a token that a browser got by OAuth.
    Browser(Value),
    Reply(Reply),
}

/// Changes a user model before it is sent.
pub(super) type Alteration = Box<dyn Fn(&mut Value) + Send>;

#[derive(Default)]
pub(super) struct State {
    pub(super) tokens: HashMap<String, Known>,
    pub(super) alter_browser_models: Option<Alteration>,
    pub(super) answers: HashMap<HubEndpoint, Reply>,
    pub(super) fault: Fault,
    pub(super) clients: HashMap<String, HubClient>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) default_user: Option<String>,
    /// The id of each user's browser session.
    pub(super) sessions: HashMap<String, String>,
    pub(super) without_services: HashSet<String>,
    /// By user and server: whom it is shared with.
    pub(super) shares: HashMap<(String, String), Vec<String>>,
    /// When users were made, where that is not [`MADE`].
    pub(super) made: HashMap<String, Value>,
}

/// When the Hub made its users, as long as nothing else is said.
const MADE: &str = "2026-11-24T19:00:00.123456Z";

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn add_server(&mut self, user: &str, server: &str) {
        self.shares
            .entry((user.to_owned(), server.to_owned()))
            .or_default();
    }

    /// `GET /hub/api/user`
    pub(super) fn user(&self, request: &Captured) -> Reply {
        match hub_token(request).and_then(|token| self.tokens.get(token)) {
            Some(Known::Reply(reply)) => reply.clone(),
            Some(Known::Model(model)) => Reply::json(&self.shown(model.clone())),
            Some(Known::Browser(model)) => {
                let mut model = model.clone();
                if let Some(alter) = &self.alter_browser_models {
                    alter(&mut model);
                }
                Reply::json(&self.shown(model))
            }
            None => refusal(StatusCode::FORBIDDEN, "Missing or invalid credentials."),
        }
    }

    /// The model with the time when its user was made, where the token's scopes show that.
    fn shown(&self, mut model: Value) -> Value {
        let name = model["name"].as_str().unwrap_or_default().to_owned();
        let scopes = model["scopes"].as_array().into_iter().flatten();
        let shows = model["kind"] == "user"
            && model.get("created").is_none()
            && scopes
                .filter_map(Value::as_str)
                .any(|scope| scope == models::own_model(&name));
        if shows {
            model["created"] = self.made.get(&name).cloned().unwrap_or_else(|| MADE.into());
        }
        model
    }

    /// The user's tokens are gone, and their browser session.
    pub(super) fn delete_user(&mut self, name: &str) {
        self.log_out(name);
        self.tokens.retain(|_, known| match known {
            Known::Model(model) | Known::Browser(model) => model["name"] != name,
            Known::Reply(_) => true,
        });
        self.made.remove(name);
    }

    /// The user's tokens say the new name. Seen at JupyterHub 6.1.1: filters that name the user follow, the one that names
    /// the server keeps the old name, so that the token opens no server any more.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        let made = self.made.remove(old).unwrap_or_else(|| MADE.into());
        self.made.insert(new.to_owned(), made);
        let sessions = self.sessions.remove(old);
        self.sessions
            .extend(sessions.map(|session| (new.to_owned(), session)));
        for known in self.tokens.values_mut() {
            if let Known::Model(model) | Known::Browser(model) = known
                && model["name"] == old
            {
                rename_in(model, old, new);
            }
        }
    }

    /// `GET /hub/api/shares/<user>/<server>`, for a service with `read:shares`.
    pub(super) fn shares(&self, request: &Captured) -> Reply {
        let token = hub_token(request);
        if !self
            .clients
            .values()
            .any(|client| Some(client.secret.as_str()) == token)
        {
            return refusal(
                StatusCode::FORBIDDEN,
                "Action is not authorized with current scopes",
            );
        }
        let path = request.path.trim_start_matches("/hub/api/shares/");
        let (user, server) = path.split_once('/').unwrap_or((path, ""));
        let key = (decoded(user), decoded(server));
        match self.shares.get(&key) {
            Some(with) => Reply::json(&share_list(&key.0, &key.1, with)),
            None => refusal(StatusCode::NOT_FOUND, "No such server"),
        }
    }
}

fn rename_in(model: &mut Value, old: &str, new: &str) {
    model["name"] = json!(new);
    let (before, after) = (format!("!user={old}"), format!("!user={new}"));
    let scopes = model["scopes"].as_array().into_iter().flatten();
    let scopes: Vec<_> = scopes
        .filter_map(Value::as_str)
        .filter(|scope| !scope.starts_with("access:servers!server="))
        .map(|scope| scope.replace(&before, &after))
        .collect();
    model["scopes"] = json!(scopes);
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn share_list(user: &str, server: &str, with: &[String]) -> Value {
    let items: Vec<_> = with
        .iter()
        .map(|name| {
            json!({
                "server": { "user": { "name": user }, "name": server, "ready": true },
                "scopes": [format!("access:servers!server={user}/{server}")],
                "user": { "name": name },
                "group": null,
                "kind": "user",
                "created_at": "2026-11-24T20:00:00Z",
            })
        })
        .collect();
    json!({
        "_pagination": { "offset": 0, "limit": 50, "total": items.len(), "next": null },
        "items": items,
    })
}
