//! The token endpoint, userinfo and revocation.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use super::client::claimed_id;
use super::records::{About, Code, Issued, LIFETIME};
use super::state::State;
use super::{Alg, Draft, SigningKey, TokenKind};
use crate::fake_http::{Captured, Reply, random_text};
use crate::pkce;

/// The grant type of token exchange (RFC 8693 section 2.1).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

impl State {
    pub(super) fn token(&mut self, request: &Captured) -> Reply {
        let refuse = |error| Reply::oauth_error(StatusCode::BAD_REQUEST, error);
        let client = claimed_id(request).and_then(|id| self.clients.get(&id));
        let Some(client) = client.filter(|client| client.authenticates(request)) else {
            return Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client")
                .header("www-authenticate", "Basic realm=\"token\"");
        };
        let client_id = client.id.clone();
        match request.form_value("grant_type").as_deref() {
            Some("authorization_code") => {}
            Some("refresh_token") => return self.refresh(&client_id, request),
            Some(TOKEN_EXCHANGE) => return self.exchange(&client_id, request),
            _ => return refuse("unsupported_grant_type"),
        }
        // Taken before it is judged: a code that was shown once is spent.
        let code = request
            .form_value("code")
            .and_then(|code| self.codes.remove(&code));
        match code {
            Some(code) if self.fits(&code, &client_id, request) => self.grant(&code),
            _ => refuse("invalid_grant"),
        }
    }

    fn fits(&self, code: &Code, client_id: &str, request: &Captured) -> bool {
        let verifier = request.form_value("code_verifier");
        let proven = match (&code.challenge, &verifier) {
            _ if !self.pkce => true,
            (Some(challenge), Some(verifier)) => pkce::fits(challenge, verifier),
            _ => false,
        };
        proven
            && code.client_id == client_id
            && request.form_value("redirect_uri").as_ref() == Some(&code.redirect_uri)
    }

    fn grant(&mut self, code: &Code) -> Reply {
        let auth_time = jsonwebtoken::get_current_timestamp();
        let refresh_token = self.grants.begin(code, auth_time);
        let about = About {
            client_id: &code.client_id,
            nonce: code.nonce.as_deref(),
            account: &code.account,
            auth_time: Some(auth_time),
        };
        self.hand_out(code, &about, Some(refresh_token))
    }

    /// Tokens of a grant.
    pub(super) fn hand_out(
        &mut self,
        code: &Code,
        about: &About<'_>,
        refresh_token: Option<String>,
    ) -> Reply {
        let access_token = self.access_token(code);
        let issued = Issued {
            account: code.account.clone(),
            client_id: code.client_id.clone(),
        };
        self.issued.insert(access_token.clone(), issued);
        let mut answer = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": code.scope,
        });
        if let Some(refresh_token) = refresh_token {
            answer["refresh_token"] = refresh_token.into();
        }
        if code.scope.split(' ').any(|scope| scope == "openid") {
            let at = Some(access_token.as_str());
            answer["id_token"] = self.id_token(about, at).into();
        }
        Reply::json(&answer).header("cache-control", "no-store")
    }

    fn access_token(&mut self, code: &Code) -> String {
        if !self.as_jwt.contains(&TokenKind::Access) {
            return random_text(32);
        }
        let now = jsonwebtoken::get_current_timestamp();
        let claims = json!({
            "iss": self.issuer,
            "sub": code.account.sub,
            "aud": "https://api.example",
            "client_id": code.client_id,
            "scope": code.scope,
            "jti": random_text(12),
            "iat": now,
            "exp": now + LIFETIME,
        });
        self.signed(TokenKind::Access, claims)
    }

    pub(super) fn id_token(&mut self, about: &About<'_>, access_token: Option<&str>) -> String {
        if std::mem::take(&mut self.rotate_before_signing) {
            // Without a new key the old one signs, and a test that waits for a refetch fails.
            let _ = self.rotate();
        }
        let now = jsonwebtoken::get_current_timestamp();
        let mut claims = Value::from(about.account.claims.clone());
        claims["iss"] = json!(self.issuer);
        claims["sub"] = json!(about.account.sub);
        claims["aud"] = json!(about.client_id);
        claims["iat"] = json!(now);
        claims["auth_time"] = json!(about.auth_time.unwrap_or(now));
        claims["exp"] = json!(now + LIFETIME);
        if let Some(nonce) = about.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let (Some(token), Some(key)) = (access_token, self.ring.first()) {
            claims["at_hash"] = json!(at_hash(key.alg(), token));
        }
        self.signed(TokenKind::Id, claims)
    }

    /// Signs after the changes that wait for this kind. Without any published key, by one that nobody knows.
    fn signed(&mut self, kind: TokenKind, claims: Value) -> String {
        let key = self
            .ring
            .first()
            .cloned()
            .unwrap_or_else(SigningKey::rsa_1024);
        let mut draft = Draft::new(key, claims);
        if kind == TokenKind::Access {
            draft.head("typ", "at+jwt");
        }
        if let Some(mutations) = self.tokens.get_mut(&kind) {
            mutations.apply(&mut draft);
        }
        draft.compact()
    }

    pub(super) fn userinfo(&mut self, request: &Captured) -> Reply {
        let token = request
            .token_of_scheme("Bearer")
            .filter(|&token| !self.revoked.contains(token));
        let Some(issued) = token.and_then(|token| self.issued.get(token)).cloned() else {
            return Reply::new(StatusCode::UNAUTHORIZED)
                .header("www-authenticate", "Bearer error=\"invalid_token\"");
        };
        let mut claims = Value::from(issued.account.claims);
        claims["sub"] = json!(issued.account.sub);
        if !self.as_jwt.contains(&TokenKind::UserInfo) {
            return Reply::json(&claims);
        }
        claims["iss"] = json!(self.issuer);
        claims["aud"] = json!(issued.client_id);
        let body = self.signed(TokenKind::UserInfo, claims);
        Reply::new(StatusCode::OK)
            .typed("application/jwt")
            .with_body(body)
    }

    /// 200 also for a token that it does not know (RFC 7009, 2.2).
    pub(super) fn revoke(&mut self, request: &Captured) -> Reply {
        let client = claimed_id(request).and_then(|id| self.clients.get(&id));
        if !client.is_some_and(|client| client.authenticates(request)) {
            return Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        self.revoked.extend(request.form_value("token"));
        Reply::new(StatusCode::OK)
    }
}

/// OpenID Connect Core, 3.1.3.6: the left half of the hash that belongs to the algorithm.
pub(super) fn at_hash(alg: Alg, access_token: &str) -> String {
    let algorithm = if alg == Alg::EdDsa { &SHA512 } else { &SHA256 };
    let hash = digest(algorithm, access_token.as_bytes());
    let bytes = hash.as_ref();
    URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() / 2])
}
