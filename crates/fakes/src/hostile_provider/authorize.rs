//! The authorization endpoint: everybody is signed in at once, as the configured account.

use http::StatusCode;

use super::records::{AuthorizationResponse, Code};
use super::state::State;
use crate::fake_http::{Captured, Reply, random_text};

impl State {
    pub(super) fn authorize(&mut self, request: &Captured) -> Reply {
        let request = &match self.pulled(request) {
            Ok(request) => request,
            Err(sentence) => return Reply::html(sentence).with_status(StatusCode::BAD_REQUEST),
        };
        let client_id = request.query_value("client_id").unwrap_or_default();
        let redirect_uri = request.query_value("redirect_uri").unwrap_or_default();
        if let Err(sentence) = self.check_client(&client_id, &redirect_uri, request) {
            return Reply::html(sentence).with_status(StatusCode::BAD_REQUEST);
        }
        let mut response = AuthorizationResponse::default();
        if let Err(error) = self.check_request(request) {
            response.set("error", error);
        } else {
            response.set("code", &self.new_code(client_id, &redirect_uri, request));
        }
        if let Some(state) = request.query_value("state") {
            response.set("state", &state);
        }
        response.set("iss", &self.issuer);
        self.redirects.apply(&mut response);
        response.redirect(&redirect_uri)
    }

    /// What makes a redirect impossible: an error page.
    fn check_client(
        &self,
        client_id: &str,
        redirect_uri: &str,
        request: &Captured,
    ) -> Result<(), &'static str> {
        let client = self.clients.get(client_id).ok_or("unknown client_id")?;
        let fits = client
            .redirect_uri
            .as_ref()
            .is_none_or(|uri| uri == redirect_uri);
        if !fits || url::Url::parse(redirect_uri).is_err() {
            return Err("redirect_uri is not registered");
        }
        let mut names: Vec<_> = request
            .query_pairs()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        names.sort();
        // RFC 8707 lets `resource` come more than once, and nothing else may.
        let doubled = names
            .windows(2)
            .any(|two| two[0] == two[1] && two[0] != "resource");
        if doubled {
            Err("a parameter came twice")
        } else {
            Ok(())
        }
    }

    /// What the client learns as an error.
    fn check_request(&self, request: &Captured) -> Result<(), &'static str> {
        if request.query_value("response_type").as_deref() != Some("code") {
            return Err("unsupported_response_type");
        }
        let s256 = request.query_value("code_challenge_method").as_deref() == Some("S256");
        let challenge = request
            .query_value("code_challenge")
            .filter(|text| text.len() == 43);
        if self.pkce && (challenge.is_none() || !s256) {
            return Err("invalid_request");
        }
        Ok(())
    }

    fn new_code(&mut self, client_id: String, redirect_uri: &str, request: &Captured) -> String {
        let mut code = random_text(24);
        if let Some(length) = self.code_length {
            // As a provider pads what it seals: with characters that need no escape in an address.
            let padding = length.saturating_sub(code.len());
            code.push_str(&"a-b_c.d0".repeat(padding / 8 + 1)[..padding]);
        }
        let issued = Code {
            client_id,
            redirect_uri: redirect_uri.to_owned(),
            scope: request.query_value("scope").unwrap_or_default(),
            nonce: request.query_value("nonce"),
            challenge: request.query_value("code_challenge"),
            account: self.account.clone(),
        };
        self.codes.insert(code.clone(), issued);
        code
    }
}
