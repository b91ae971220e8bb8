//! `private_key_jwt` as a strict provider judges it (RFC 7523 section 3 and its revision).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::keys::SigningKey;
use crate::fake_http::{Captured, locked};

/// A statement that lives longer is refused, in seconds.
const LONGEST: u64 = 300;

/// A client's public key, and the statements that it was used for.
#[derive(Clone, Debug)]
pub struct RegisteredKey {
    jwk: Value,
    issuer: String,
    used: Arc<Mutex<HashSet<String>>>,
}

impl RegisteredKey {
    pub(super) fn new(key: &SigningKey, issuer: &str) -> Self {
        Self {
            jwk: key.jwk(),
            issuer: issuer.to_owned(),
            used: Arc::default(),
        }
    }

    /// Whether the request carries one good statement of this client. It is used up by that.
    pub(super) fn takes(&self, client_id: &str, request: &Captured) -> bool {
        let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let kind = request.form_value("client_assertion_type");
        let named = request.form_value("client_id");
        let statement = request.form_value("client_assertion").unwrap_or_default();
        kind.as_deref() == Some(jwt_bearer)
            && named.is_none_or(|named| named == client_id)
            && self.judge(client_id, &statement) == Some(true)
    }

    fn judge(&self, client_id: &str, statement: &str) -> Option<bool> {
        let header = decode_header(statement).ok()?;
        let registered: Algorithm = self.jwk["alg"].as_str()?.parse().ok()?;
        if header.alg != registered || header.typ.as_deref() != Some("client-authentication+jwt") {
            return Some(false);
        }
        let jwk: Jwk = serde_json::from_value(self.jwk.clone()).ok()?;
        let mut rules = Validation::new(registered);
        rules.validate_aud = false;
        let claims = decode::<Value>(statement, &DecodingKey::from_jwk(&jwk).ok()?, &rules);
        let claims = claims.ok()?.claims;
        let (issued, ends) = (claims["iat"].as_u64()?, claims["exp"].as_u64()?);
        let fresh = locked(&self.used).insert(claims["jti"].as_str()?.to_owned());
        let ours = claims["iss"] == client_id && claims["sub"] == client_id;
        // One string: a list could name other issuers too.
        let here = claims["aud"] == self.issuer.as_str();
        Some(fresh && ours && here && ends > issued && ends - issued <= LONGEST)
    }
}
