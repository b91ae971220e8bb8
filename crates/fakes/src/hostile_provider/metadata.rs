//! The discovery document and the key set.

use serde_json::{Value, json};

use super::state::State;
use super::{Pushed, SigningKey};

impl State {
    pub(super) fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        let mut algs: Vec<_> = self.ring.iter().map(|key| key.alg().name()).collect();
        algs.dedup();
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algs,
            "scopes_supported": ["openid", "profile", "email", "offline_access", "read", "write"],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        if self.pushed.mode != Pushed::Unknown {
            document["pushed_authorization_request_endpoint"] = format!("{issuer}/par").into();
        }
        if self.pushed.mode == Pushed::Required {
            document["require_pushed_authorization_requests"] = true.into();
        }
        document
    }

    pub(super) fn jwks(&self) -> Vec<Value> {
        self.ring.iter().map(SigningKey::jwk).collect()
    }
}
