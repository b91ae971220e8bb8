//! A token before it is signed. Everything about it can be changed, down to its bytes.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::keys::{Alg, SigningKey};

/// How the three parts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// base64url without padding: the only right one.
    #[default]
    Right,
    /// base64url with padding.
    Padded,
    /// base64 with `+`, `/` and padding.
    Standard,
}

impl Encoding {
    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Right => URL_SAFE_NO_PAD.encode(bytes),
            Self::Padded => URL_SAFE.encode(bytes),
            Self::Standard => STANDARD.encode(bytes),
        }
    }
}

#[derive(Clone, Debug)]
enum Signature {
    Good(SigningKey, Alg),
    Broken(SigningKey, Alg),
    Hmac(Vec<u8>),
    Bytes(Vec<u8>),
}

/// A token that is about to be signed.
///
/// The signature is made over the bytes as they are sent, so a token that is refused is refused for what was changed
/// and not for a bad signature, unless that is what was asked for.
pub struct Draft {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    /// Sent in place of the header's JSON.
    pub raw_header: Option<Vec<u8>>,
    /// Sent in place of the claims' JSON.
    pub raw_claims: Option<Vec<u8>>,
    /// How the parts are written.
    pub encoding: Encoding,
    key: SigningKey,
    signature: Signature,
    finish: Option<Box<dyn FnOnce(String) -> String + Send>>,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("header", &self.header)
            .field("claims", &self.claims)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

impl Draft {
    pub(super) fn new(key: SigningKey, claims: Value) -> Self {
        let alg = key.alg();
        Self {
            header: json!({ "alg": alg.name(), "kid": key.kid, "typ": "JWT" }),
            claims,
            raw_header: None,
            raw_claims: None,
            encoding: Encoding::Right,
            signature: Signature::Good(key.clone(), alg),
            key,
            finish: None,
        }
    }

    /// Sets a claim.
    pub fn claim(&mut self, name: &str, value: impl Into<Value>) {
        self.claims[name] = value.into();
    }

    /// Leaves a claim out.
    pub fn without(&mut self, name: &str) {
        if let Some(claims) = self.claims.as_object_mut() {
            claims.remove(name);
        }
    }

    /// The claim as a number of seconds, moved by so many.
    pub fn shift(&mut self, name: &str, seconds: i64) {
        self.claims[name] = json!(self.claims[name].as_i64().unwrap_or_default() + seconds);
    }

    /// Sets a member of the header.
    pub fn head(&mut self, name: &str, value: impl Into<Value>) {
        self.header[name] = value.into();
    }

    /// Leaves a member of the header out.
    pub fn without_head(&mut self, name: &str) {
        if let Some(header) = self.header.as_object_mut() {
            header.remove(name);
        }
    }

    /// Signs with another key, under its `kid` and algorithm.
    pub fn sign_with(&mut self, key: &SigningKey) {
        self.head("kid", key.kid.as_str());
        self.key = key.clone();
        self.sign_as(key.alg());
    }

    /// Signs with the same key by another algorithm (RS256 and PS256 share keys).
    pub fn sign_as(&mut self, alg: Alg) {
        self.head("alg", alg.name());
        self.signature = Signature::Good(self.key.clone(), alg);
    }

    /// Flips a bit of the signature.
    pub fn break_signature(&mut self) {
        let alg = self.key.alg();
        self.signature = Signature::Broken(self.key.clone(), alg);
    }

    /// `alg: none` and an empty signature.
    pub fn unsigned(&mut self) {
        self.head("alg", "none");
        self.signature = Signature::Bytes(Vec::new());
    }

    /// HS256 under this secret.
    pub fn sign_hs256(&mut self, secret: &[u8]) {
        self.head("alg", "HS256");
        self.signature = Signature::Hmac(secret.to_vec());
    }

    /// HS256 with the provider's public key as the secret.
    pub fn sign_hs256_with_the_public_key(&mut self) {
        let pem = self
            .key
            .public_pem()
            .unwrap_or_else(|| self.key.jwk().to_string());
        self.sign_hs256(pem.as_bytes());
    }

    /// Any bytes as the signature; the header stays.
    pub fn signature_bytes(&mut self, bytes: impl Into<Vec<u8>>) {
        self.signature = Signature::Bytes(bytes.into());
    }

    /// Changes the finished text.
    pub fn finish(&mut self, finish: impl FnOnce(String) -> String + Send + 'static) {
        self.finish = Some(Box::new(finish));
    }

    /// The finished text.
    pub(super) fn compact(self) -> String {
        let header = self
            .raw_header
            .unwrap_or_else(|| self.header.to_string().into_bytes());
        let claims = self
            .raw_claims
            .unwrap_or_else(|| self.claims.to_string().into_bytes());
        let encoding = self.encoding;
        let message = format!("{}.{}", encoding.encode(&header), encoding.encode(&claims));
        let signature = self.signature.over(message.as_bytes());
        let text = format!("{message}.{}", encoding.encode(&signature));
        match self.finish {
            Some(finish) => finish(text),
            None => text,
        }
    }
}

impl Signature {
    fn over(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Good(key, alg) => key.sign(alg, message),
            Self::Broken(key, alg) => {
                let mut signature = key.sign(alg, message);
                if let Some(byte) = signature.first_mut() {
                    *byte ^= 1;
                }
                signature
            }
            Self::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Bytes(bytes) => bytes,
        }
    }
}
