//! Token exchange (RFC 8693), and the tokens of providers behind this one, as Keycloak hands them out.

use http::StatusCode;
use serde_json::json;

use super::records::{Issued, LIFETIME};
use super::state::State;
use crate::fake_http::{Captured, Reply, random_text};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

impl State {
    pub(super) fn exchange(&mut self, client_id: &str, request: &Captured) -> Reply {
        let refuse = |error| Reply::oauth_error(StatusCode::BAD_REQUEST, error);
        let types = ["subject_token_type", "requested_token_type"];
        if types
            .iter()
            .any(|name| request.form_value(name).as_deref() != Some(ACCESS_TOKEN))
        {
            return refuse("invalid_request");
        }
        let Some(subject) = self.live(request.form_value("subject_token").as_deref()) else {
            return refuse("invalid_grant");
        };
        if subject.client_id != client_id {
            return refuse("invalid_grant");
        }
        if let Some(refusal) = self.refuses(request) {
            return refusal;
        }
        let access_token = random_text(32);
        self.issued.insert(access_token.clone(), subject);
        let mut answer = json!({
            "access_token": access_token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
        });
        if let Some(scope) = request.form_value("scope") {
            answer["scope"] = scope.into();
        }
        Reply::json(&answer).header("cache-control", "no-store")
    }

    /// What a provider behind this one said when the person came by it. When its token ends is told as Keycloak does.
    pub(super) fn stored_token(&mut self, request: &Captured) -> Reply {
        if self.live(request.token_of_scheme("Bearer")).is_none() {
            return Reply::new(StatusCode::UNAUTHORIZED);
        }
        let alias = request
            .path
            .trim_start_matches("/broker/")
            .trim_end_matches("/token");
        if self.refused_targets.contains(alias) {
            return Reply::new(StatusCode::FORBIDDEN);
        }
        let now = jsonwebtoken::get_current_timestamp();
        Reply::json(&json!({
            "access_token": format!("{alias}.{}", random_text(24)),
            "token_type": "bearer",
            "expires_in": 1,
            "accessTokenExpiration": now + LIFETIME,
            "refresh_token": "the-other-providers-refresh-token",
        }))
    }

    /// Whether there is no token for what is asked for.
    pub(super) fn refuses(&self, request: &Captured) -> Option<Reply> {
        let mut named = ["audience", "resource", "requested_issuer"].into_iter();
        let refused = named.any(|name| {
            let target = request.form_value(name);
            target.is_some_and(|target| self.refused_targets.contains(&target))
        });
        refused.then(|| Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_target"))
    }

    fn live(&self, token: Option<&str>) -> Option<Issued> {
        let token = token.filter(|&token| !self.revoked.contains(token))?;
        self.issued.get(token).cloned()
    }
}
