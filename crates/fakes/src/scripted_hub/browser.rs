//! The Hub as browsers and OAuth clients see it: login, logout, authorize, token.

use form_urlencoded::Serializer;
use http::StatusCode;
use serde_json::json;

use super::client::Code;
use super::state::{Known, State};
use super::{models, refusal};
use crate::fake_http::{Captured, Reply, random_hex, random_text};
use crate::pkce;

/// The cookie whose value is the name of the user who is logged in in this browser.
pub const BROWSER_COOKIE: &str = "scripted-hub-user";

/// `GET|POST /hub/login`: whoever is named is logged in.
pub(super) fn login(request: &Captured) -> Reply {
    let next = request
        .query_value("next")
        .unwrap_or_else(|| "/hub/home".into());
    match request.form_value("username") {
        Some(user) => Reply::redirect(StatusCode::FOUND, &next).header(
            "set-cookie",
            &format!("{BROWSER_COOKIE}={user}; Path=/; HttpOnly"),
        ),
        None => Reply::html(
            "<!doctype html><title>Log in</title><form method=post>\
             <label>User <input name=username></label><button>Log in</button></form>",
        ),
    }
}

impl State {
    /// Ends the user's browser session and kills its tokens.
    pub(super) fn log_out(&mut self, user: &str) {
        let Some(session) = self.sessions.remove(user) else {
            return;
        };
        self.tokens.retain(
            |_, known| !matches!(known, Known::Browser(model) if model["session_id"] == session),
        );
    }

    /// `GET /hub/logout`
    pub(super) fn browser_logout(&mut self, request: &Captured) -> Reply {
        if let Some(user) = self.user_of_browser(request) {
            self.log_out(&user);
        }
        Reply::redirect(StatusCode::FOUND, "/hub/login").header(
            "set-cookie",
            &format!("{BROWSER_COOKIE}=; Path=/; Max-Age=0"),
        )
    }

    /// `GET /hub/api/oauth2/authorize`
    pub(super) fn authorize(&mut self, request: &Captured) -> Reply {
        let client_id = request.query_value("client_id").unwrap_or_default();
        let Some(client) = self.clients.get(&client_id).cloned() else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "Invalid client_id parameter value.",
            );
        };
        if request.query_value("redirect_uri").as_ref() != Some(&client.redirect_uri) {
            return refusal(StatusCode::BAD_REQUEST, "Mismatching redirect URI.");
        }
        if request.query_value("response_type").as_deref() != Some("code") {
            return refusal(StatusCode::BAD_REQUEST, "unsupported_response_type");
        }
        let Some(challenge) = challenge_of(request, client.require_pkce) else {
            return refusal(StatusCode::BAD_REQUEST, "Code challenge required.");
        };
        let Some(user) = self.user_of_browser(request) else {
            return login_first(request);
        };
        if self.without_services.contains(&user) {
            return refusal(
                StatusCode::FORBIDDEN,
                "You do not have permission to access this.",
            );
        }
        let code = random_text(22);
        let location = redirect_back(&client.redirect_uri, &code, request);
        let redirect_uri = client.redirect_uri;
        self.codes.insert(
            code,
            Code {
                user,
                client_id,
                redirect_uri,
                challenge,
            },
        );
        Reply::redirect(StatusCode::FOUND, &location)
    }

    /// `POST /hub/api/oauth2/token`
    pub(super) fn redeem(&mut self, request: &Captured) -> Reply {
        let field = |name: &str| request.form_value(name).unwrap_or_default();
        let Some(client) = self.clients.get(&field("client_id")).cloned() else {
            return Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
        };
        if field("client_secret") != client.secret {
            return Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        if field("grant_type") != "authorization_code" {
            return Reply::oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
        }
        let Some(code) = self.codes.remove(&field("code")) else {
            return Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant");
        };
        let fits = code.client_id == client.id
            && code.redirect_uri == field("redirect_uri")
            && code
                .challenge
                .as_deref()
                .is_none_or(|challenge| pkce::fits(challenge, &field("code_verifier")));
        if !fits {
            return Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        self.issue(&code.user, &client.service)
    }

    /// A browser's OAuth token, tied to the user's session.
    fn issue(&mut self, user: &str, service: &str) -> Reply {
        let session = self
            .sessions
            .entry(user.to_owned())
            .or_insert_with(|| random_hex(16));
        let mut model = match service {
            "hubkey" => models::browser(user),
            _ => models::held_by_service(user, service),
        };
        model["session_id"] = json!(session);
        let scopes = model["scopes"].as_array().into_iter().flatten();
        let scope = scopes
            .filter_map(|scope| scope.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let token = random_hex(16);
        self.tokens.insert(token.clone(), Known::Browser(model));
        Reply::json(&json!({
            "access_token": token,
            "expires_in": 1_209_600,
            "token_type": "Bearer",
            "scope": scope,
            "refresh_token": random_hex(16),
        }))
    }

    fn user_of_browser(&self, request: &Captured) -> Option<String> {
        let cookie = request
            .cookie(BROWSER_COOKIE)
            .filter(|name| !name.is_empty());
        cookie
            .map(str::to_owned)
            .or_else(|| self.default_user.clone())
    }
}

/// `None`: a challenge is needed and did not come, or is not S256.
#[expect(
    clippy::option_option,
    reason = "outside: whether to go on; inside: the challenge of a request that may come without one"
)]
fn challenge_of(request: &Captured, required: bool) -> Option<Option<String>> {
    match request.query_value("code_challenge") {
        Some(challenge) => (request.query_value("code_challenge_method").as_deref()
            == Some("S256"))
        .then_some(Some(challenge)),
        None => (!required).then_some(None),
    }
}

fn login_first(request: &Captured) -> Reply {
    let here = format!("{}?{}", request.path, request.query);
    let query = Serializer::new(String::new())
        .append_pair("next", &here)
        .finish();
    Reply::redirect(StatusCode::FOUND, &format!("/hub/login?{query}"))
}

fn redirect_back(redirect_uri: &str, code: &str, request: &Captured) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("code", code);
    if let Some(state) = request.query_value("state") {
        query.append_pair("state", &state);
    }
    let joint = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{joint}{}", query.finish())
}
