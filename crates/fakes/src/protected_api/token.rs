//! Whether an access token is good, and whose it is.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::Settings;
use super::keys::Keys;
use super::refusal::Refusal;

/// Asymmetric algorithms only: an API that took HS256 would take its own published key for a secret.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

#[derive(Deserialize)]
struct Claims {
    sub: String,
    preferred_username: Option<String>,
    #[serde(default)]
    scope: String,
}

/// Judges tokens by the settings.
#[derive(Debug)]
pub(super) struct Judge {
    settings: Settings,
    keys: Keys,
}

impl Judge {
    pub(super) fn new(settings: Settings) -> anyhow::Result<Self> {
        let keys = Keys::new(&settings)?;
        Ok(Self { settings, keys })
    }

    pub(super) fn scope(&self) -> &str {
        &self.settings.scope
    }

    /// Who called.
    pub(super) async fn caller(&self, token: Option<&str>) -> Result<String, Refusal> {
        let token = token.ok_or(Refusal::NoToken)?;
        let header = decode_header(token).map_err(|_| Refusal::Invalid("malformed"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::Invalid("algorithm"));
        }
        let kid = header.kid.as_deref().ok_or(Refusal::Invalid("no key id"))?;
        let key = self
            .keys
            .find(kid, header.alg)
            .await?
            .ok_or(Refusal::Invalid("unknown key"))?;
        let claims = decode::<Claims>(token, &key, &self.rules(header.alg))
            .map_err(|_| Refusal::Invalid("signature, issuer, audience or time"))?
            .claims;
        if !claims
            .scope
            .split(' ')
            .any(|scope| scope == self.settings.scope)
        {
            return Err(Refusal::InsufficientScope);
        }
        Ok(claims.preferred_username.unwrap_or(claims.sub))
    }

    fn rules(&self, algorithm: Algorithm) -> Validation {
        let mut rules = Validation::new(algorithm);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.set_issuer(&[&self.settings.issuer]);
        rules.set_audience(&[&self.settings.audience]);
        rules.validate_nbf = true;
        // All clocks are that of one machine.
        rules.leeway = 2;
        rules
    }
}
