//! Refresh tokens, by default as strict as providers come: each is good once, and one that comes again ends its grant
//! (RFC 9700, 4.14.2).

use std::time::Instant;

use http::StatusCode;

use super::records::{About, Code};
use super::state::State;
use super::{Account, HostileProvider};
use crate::fake_http::{Captured, Reply};

impl State {
    pub(super) fn refresh(&mut self, client_id: &str, request: &Captured) -> Reply {
        let token = request.form_value("refresh_token").unwrap_or_default();
        if let Some(refusal) = self.refuses(request) {
            return refusal;
        }
        let Some((mut grant, next)) = self.grants.trade(&token, client_id) else {
            return Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant");
        };
        if let Some(narrower) = request.form_value("scope") {
            if !narrower
                .split(' ')
                .all(|one| grant.code.scope.split(' ').any(|own| own == one))
            {
                return Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_scope");
            }
            self.grants.narrow(&token, &narrower);
            grant.code.scope = narrower;
        }
        let nonce = grant.code.nonce.as_deref();
        let about = About {
            client_id,
            nonce: nonce.filter(|_| self.grants.repeats_nonce),
            account: &grant.code.account,
            auth_time: Some(grant.auth_time),
        };
        self.hand_out(&grant.code, &about, next)
    }
}

impl HostileProvider {
    /// What a sign-in of this account at the public client `hubkey` leaves: a grant's first refresh token.
    #[must_use]
    pub fn grant(&self, account: Account) -> String {
        let code = Code {
            client_id: "hubkey".to_owned(),
            redirect_uri: String::new(),
            scope: "openid".to_owned(),
            nonce: None,
            challenge: None,
            account,
        };
        let now = jsonwebtoken::get_current_timestamp();
        self.state().grants.begin(&code, now)
    }

    /// When a refresh token came, each time.
    #[must_use]
    pub fn uses(&self, refresh_token: &str) -> Vec<Instant> {
        let uses = &self.state().grants.uses;
        uses.get(refresh_token).cloned().unwrap_or_default()
    }

    /// Whose access token that is.
    #[must_use]
    pub fn subject_of(&self, access_token: &str) -> Option<String> {
        let issued = &self.state().issued;
        issued
            .get(access_token)
            .map(|issued| issued.account.sub.clone())
    }
}
