//! Hubkey's registration at a provider, and its proof wherever the provider asks for one: at the token, revocation and
//! pushed authorization endpoints alike (RFC 6749 section 2.3, RFC 7523 section 2.2, RFC 9126 section 2).

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use form_urlencoded::Serializer;
use hubkey_domain::{
    clock::Clock,
    provider::{ClientAuthentication, ProviderConfig},
    random::RandomSource,
};
use hubkey_protocol::secret::{ClientSecret, Secret};
use reqwest::header::HeaderValue;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    IdpError,
    client_assertion::{ClientAssertion, Signer},
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who hubkey is at one provider.
#[derive(Debug)]
pub(crate) struct ClientAuth {
    client_id: String,
    proof: Proof,
    issuer: String,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
}

#[derive(Debug)]
enum Proof {
    None,
    Basic(ClientSecret),
    Post(ClientSecret),
    Key {
        signer: Signer,
        key_set: Option<Value>,
    },
}

/// A form with the proof of who hubkey is.
pub(crate) struct TokenRequestForm {
    pub(crate) body: String,
    pub(crate) authorization: Option<HeaderValue>,
}

impl ClientAuth {
    /// The registration as configured.
    pub(crate) fn new(
        config: &ProviderConfig,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn RandomSource>,
    ) -> Result<Self, IdpError> {
        let proof = match &config.token_endpoint_auth_method {
            ClientAuthentication::None => Proof::None,
            ClientAuthentication::Basic(secret) => Proof::Basic(secret.clone()),
            ClientAuthentication::Post(secret) => Proof::Post(secret.clone()),
            ClientAuthentication::PrivateKey(key) => {
                let (signer, key_set) = Signer::new(key)?;
                Proof::Key { signer, key_set }
            }
        };
        Ok(Self {
            client_id: config.client_id.clone(),
            proof,
            issuer: config.endpoints.issuer().to_owned(),
            clock,
            chance,
        })
    }

    /// The public keys of the proof as a JWK Set, where they are published.
    pub(crate) fn key_set(&self) -> Option<&Value> {
        match &self.proof {
            Proof::Key { key_set, .. } => key_set.as_ref(),
            Proof::None | Proof::Basic(_) | Proof::Post(_) => None,
        }
    }

    /// What may be wrong with the proof itself, for the operator, where the provider refuses it; empty where nothing is known.
    pub(crate) fn hint(&self) -> &'static str {
        match &self.proof {
            Proof::Basic(secret) if is_encoded(&self.client_id) || is_encoded(secret.expose()) => {
                ENCODED
            }
            Proof::None | Proof::Basic(_) | Proof::Post(_) | Proof::Key { .. } => "",
        }
    }

    /// A request of these parameters with the proof. Made anew for each attempt: a proof is sent once.
    pub(crate) fn form(&self, pairs: &[(&str, &str)]) -> Result<TokenRequestForm, IdpError> {
        let mut body = Serializer::new(String::new());
        body.extend_pairs(pairs);
        let named = pairs.iter().any(|(name, _)| *name == "client_id");
        if !named && !matches!(self.proof, Proof::Basic(_)) {
            body.append_pair("client_id", &self.client_id);
        }
        let mut authorization = None;
        match &self.proof {
            Proof::None => {}
            Proof::Basic(secret) => authorization = Some(basic(&self.client_id, secret)?),
            Proof::Post(secret) => {
                body.append_pair("client_secret", secret.expose());
            }
            Proof::Key { signer, .. } => {
                let jti = self.chance.assertion_id();
                let now = self.clock.now();
                let assertion = ClientAssertion::new(&self.client_id, &self.issuer, now, jti);
                body.append_pair("client_assertion_type", ASSERTION_TYPE)
                    .append_pair("client_assertion", &signer.sign(&assertion)?);
            }
        }
        Ok(TokenRequestForm {
            body: body.finish(),
            authorization,
        })
    }
}

/// Letters, digits, `-`, `.`, `_` and `*` stand for themselves in the header.
const ENCODED: &str = "the client id or secret has characters that RFC 6749 section 2.3.1 encodes in the header, and some \
                       providers compare them as they are: try token_endpoint_auth_method = \"client_secret_post\"";

fn is_encoded(text: &str) -> bool {
    encoded(text) != text
}

fn basic(client_id: &str, secret: &ClientSecret) -> Result<HeaderValue, IdpError> {
    let pair = Zeroizing::new(format!(
        "{}:{}",
        encoded(client_id),
        encoded(secret.expose())
    ));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value =
        HeaderValue::from_str(&value).map_err(|_| IdpError::Misconfigured("client_secret"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Form-encoded, but a space as `%20`: every provider understands that, not every one understands `+`.
fn encoded(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_i3_characters_that_stand_for_themselves_are_told_from_others() {
        for safe in ["hubkey", "A-Za.z0_9*", "0oa1b2c3d4"] {
            assert!(!is_encoded(safe), "{safe}");
        }
        for encoded in ["a b", "a+b", "a/b", "a~b", "a=", "ü", "a:b", "a%b"] {
            assert!(is_encoded(encoded), "{encoded}");
        }
    }

    #[test]
    fn security_p1_basic_encodes_before_base64() {
        let header = basic("hub key", &ClientSecret::new(":+/% ü")).unwrap();
        assert!(header.is_sensitive());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "hub%20key:%3A%2B%2F%25%20%C3%BC");
    }
}
