//! Keys of a provider, as JWK and as a signer of any bytes.

use std::fmt;
use std::sync::{Arc, Mutex};

use anyhow::anyhow;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::small_rsa;
use crate::fake_http::locked;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alg {
    /// RSA PKCS#1 v1.5 with SHA-256
    Rs256,
    /// RSA PSS with SHA-256
    Ps256,
    /// P-256 with SHA-256
    Es256,
    /// Ed25519
    EdDsa,
}

impl Alg {
    /// Its name in JOSE.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A key that signs, with the name and algorithm under which it is published.
#[derive(Clone)]
pub struct SigningKey {
    /// The key id; free to change.
    pub kid: String,
    alg: Alg,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    SmallRsa,
    Ec(Arc<EcdsaKeyPair>),
    Ed(Arc<Ed25519KeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.alg.name(), self.kid)
    }
}

impl SigningKey {
    /// The `index`-th key of this algorithm. RSA keys of one index are the same in the whole process, since making
    /// one is slow; keys of other algorithms are always new.
    pub fn generate(alg: Alg, index: usize) -> anyhow::Result<Self> {
        let pair = match alg {
            Alg::Rs256 | Alg::Ps256 => Pair::Rsa(rsa_key(index)?),
            Alg::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                Pair::Ec(Arc::new(
                    pair.map_err(|_| anyhow!("no P-256 key could be made"))?,
                ))
            }
            Alg::EdDsa => {
                let pair = Ed25519KeyPair::generate();
                Pair::Ed(Arc::new(
                    pair.map_err(|_| anyhow!("no Ed25519 key could be made"))?,
                ))
            }
        };
        Ok(Self {
            kid: format!("{}-{index}", alg.name().to_lowercase()),
            alg,
            pair,
        })
    }

    /// An RSA key of 1024 bits that signs RS256.
    #[must_use]
    pub fn rsa_1024() -> Self {
        Self {
            kid: "rsa-1024".into(),
            alg: Alg::Rs256,
            pair: Pair::SmallRsa,
        }
    }

    /// The algorithm under which it is published.
    #[must_use]
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// The public key as a JWK with `kid`, `use` and `alg`.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                rsa_jwk(
                    n.big_endian_without_leading_zero(),
                    e.big_endian_without_leading_zero(),
                )
            }
            Pair::SmallRsa => rsa_jwk(&small_rsa::modulus(), &small_rsa::EXPONENT),
            Pair::Ec(pair) => {
                // 0x04, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let half = |range| point.get(range).map(encoded).unwrap_or_default();
                json!({ "kty": "EC", "crv": "P-256", "x": half(1..33), "y": half(33..65) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.alg.name());
        jwk
    }

    /// The public key as PEM text: what an HS256 forger takes for the secret. Only RSA keys of a usable size have one
    /// here.
    #[must_use]
    pub fn public_pem(&self) -> Option<String> {
        let Pair::Rsa(pair) = &self.pair else {
            return None;
        };
        let der = pair.public_key().as_der().ok()?;
        Some(pem("PUBLIC KEY", der.as_ref()))
    }

    /// The private key as PEM text (PKCS#8): for a client that proves itself with it.
    pub fn private_pem(&self) -> anyhow::Result<String> {
        let made = match &self.pair {
            Pair::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map(|der| der.as_ref().to_vec())
            }
            Pair::Ec(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Ed(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::SmallRsa => return Err(anyhow!("the small RSA key has no PKCS#8 form here")),
        };
        let der = made.map_err(|_| anyhow!("the key could not be written"))?;
        Ok(pem("PRIVATE KEY", &der))
    }

    /// Signs; `alg` matters only to RSA keys, which can sign both ways.
    #[must_use]
    pub fn sign(&self, alg: Alg, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match alg {
                    Alg::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                // A failure leaves zeroes, which no verifier accepts: the honest tests would tell.
                let _ = pair.sign(padding, &SystemRandom::new(), message, &mut signature);
                signature
            }
            Pair::SmallRsa => small_rsa::sign(message),
            Pair::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                signature
                    .map(|signature| signature.as_ref().to_vec())
                    .unwrap_or_default()
            }
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}

fn rsa_jwk(n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "n": encoded(n), "e": encoded(e) })
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_key(index: usize) -> anyhow::Result<Arc<RsaKeyPair>> {
    static KEYS: Mutex<Vec<Arc<RsaKeyPair>>> = Mutex::new(Vec::new());
    let mut keys = locked(&KEYS);
    while keys.len() <= index {
        let key = RsaKeyPair::generate(KeySize::Rsa2048);
        keys.push(Arc::new(
            key.map_err(|_| anyhow!("no RSA key could be made"))?,
        ));
    }
    Ok(Arc::clone(&keys[index]))
}
