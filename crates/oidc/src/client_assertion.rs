//! The key by which hubkey proves itself to a provider (RFC 7523 section 2.2): short assertions, each sent once.

use std::iter;

use hubkey_domain::{clock::Timestamp, provider::AssertionKey};
use hubkey_protocol::secret::{ClientKey, Secret};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::IdpError;

const UNUSABLE: IdpError = IdpError::Misconfigured("private_key");

/// Says what an assertion is, so that it passes for no other token (RFC 8725 section 3.11).
const TYPE: &str = "client-authentication+jwt";
/// How long an assertion is good, in seconds.
const LIFE: u64 = 60;

/// What may be signed with, in the order in which a key is tried where the settings do not choose.
const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    // Last, so that only the settings choose it.
    ("RS256", Algorithm::RS256),
];

/// What one assertion says.
#[derive(Serialize)]
pub(crate) struct ClientAssertion<'a> {
    iss: &'a str,
    sub: &'a str,
    /// The issuer and nothing else: an assertion for one provider is worth nothing at another (CVE-2025-27370).
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

impl<'a> ClientAssertion<'a> {
    /// This client's, to this issuer, from now on; `jti` was never used before.
    pub(crate) fn new(client_id: &'a str, issuer: &'a str, now: Timestamp, jti: String) -> Self {
        let now = now.as_secs();
        Self {
            iss: client_id,
            sub: client_id,
            aud: issuer,
            iat: now,
            exp: now + LIFE,
            jti,
        }
    }
}

/// Signs assertions with one key. Its `Debug` shows no key.
#[derive(Debug)]
pub(crate) struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Signer {
    /// Takes a key, if something can be signed with it. With it comes, where it is published, the set of its public half and
    /// of those beside it (RFC 7517 section 5), by which it is then named.
    pub(crate) fn new(key: &AssertionKey) -> Result<(Self, Option<Value>), IdpError> {
        let algorithm = key.algorithm.as_deref();
        let mut signer = Self::of(&key.pem, algorithm)?;
        signer.kid.clone_from(&key.id);
        let Some(others) = &key.published_with else {
            return Ok((signer, None));
        };
        let own = signer.public()?;
        if signer.kid.is_none() {
            signer.kid.clone_from(&own.common.key_id);
        }
        let others = others.iter().map(|pem| Self::of(pem, algorithm)?.public());
        let keys = iter::once(Ok(own))
            .chain(others)
            .collect::<Result<_, _>>()?;
        let set = serde_json::to_value(JwkSet { keys }).map_err(|_| UNUSABLE)?;
        Ok((signer, Some(set)))
    }

    fn of(key: &ClientKey, wanted: Option<&str>) -> Result<Self, IdpError> {
        let able = ALGORITHMS
            .iter()
            .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
            .find_map(|(_, algorithm)| Self::able(key, *algorithm));
        able.ok_or(UNUSABLE)
    }

    /// A key of the algorithm's kind that signs: its size and curve fit too.
    fn able(key: &ClientKey, algorithm: Algorithm) -> Option<Self> {
        let pem = key.expose().as_bytes();
        let read = match algorithm {
            Algorithm::PS256 | Algorithm::RS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem),
            _ => EncodingKey::from_ed_pem(pem),
        };
        let read = read.ok()?;
        jsonwebtoken::crypto::sign(b"trial", &read, algorithm).ok()?;
        Some(Self {
            key: read,
            algorithm,
            kid: None,
        })
    }

    /// The public half, named by its thumbprint (RFC 7638).
    fn public(&self) -> Result<Jwk, IdpError> {
        let public = Jwk::from_encoding_key(&self.key, self.algorithm);
        let mut public = public.map_err(|_| UNUSABLE)?;
        let name = public.thumbprint(ThumbprintHash::SHA256);
        public.common.key_id = Some(name.map_err(|_| UNUSABLE)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(public)
    }

    /// The assertion as it is sent.
    pub(crate) fn sign(
        &self,
        assertion: &ClientAssertion<'_>,
    ) -> Result<Zeroizing<String>, IdpError> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: self.kid.clone(),
            ..Header::new(self.algorithm)
        };
        let signed = jsonwebtoken::encode(&header, assertion, &self.key);
        Ok(Zeroizing::new(signed.map_err(|_| UNUSABLE)?))
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// Nothing can be signed with it.
    Unusable,
    /// Its public half cannot be worked out.
    Unpublishable,
}

/// Whether hubkey can prove itself with a key, and publish it where that is wanted.
pub fn check_key(key: &ClientKey, algorithm: Option<&str>, publish: bool) -> Result<(), KeyFault> {
    let signer = Signer::of(key, algorithm).map_err(|_| KeyFault::Unusable)?;
    if publish && signer.public().is_err() {
        return Err(KeyFault::Unpublishable);
    }
    Ok(())
}
