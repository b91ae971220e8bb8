//! Pushed authorization requests (RFC 9126).

use http::StatusCode;
use serde_json::json;

use super::client::claimed_id;
use super::records::{Pushed, Waiting};
use super::state::State;
use crate::fake_http::{Captured, Reply, random_text};

const LEFT_OUT: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

impl State {
    pub(super) fn push(&mut self, request: &Captured) -> Reply {
        let client = claimed_id(request).and_then(|id| self.clients.get(&id));
        let Some(client) = client.filter(|client| client.authenticates(request)) else {
            return Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
        };
        let (client_id, pairs) = (client.id.clone(), request.form_pairs());
        let names = |name: &str| pairs.iter().any(|(found, _)| found == name);
        let own = request.form_value("client_id").as_deref() == Some(client_id.as_str());
        if !own || names("request_uri") || !request.query.is_empty() {
            return Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request");
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(
            pairs
                .iter()
                .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())),
        );
        let reference = format!("urn:ietf:params:oauth:request_uri:{}", random_text(24));
        let waiting = Waiting {
            client_id,
            query: query.finish(),
        };
        self.pushed.waiting.insert(reference.clone(), waiting);
        Reply::json(&json!({ "request_uri": reference, "expires_in": 60 }))
            .with_status(StatusCode::CREATED)
    }

    /// The request that the browser's reference stands for, once; the browser's own where it carries none.
    pub(super) fn pulled(&mut self, request: &Captured) -> Result<Captured, &'static str> {
        let Some(reference) = request.query_value("request_uri") else {
            return match self.pushed.mode {
                Pushed::Required => Err("push the request first"),
                Pushed::Unknown | Pushed::Offered => Ok(request.clone()),
            };
        };
        let waiting = self.pushed.waiting.remove(&reference);
        let waiting = waiting.ok_or("unknown or used request_uri")?;
        let bare = request.query_pairs().len() == 2;
        if !bare || request.query_value("client_id") != Some(waiting.client_id) {
            return Err("nothing but client_id may stand beside request_uri");
        }
        Ok(Captured {
            query: waiting.query,
            ..request.clone()
        })
    }
}
