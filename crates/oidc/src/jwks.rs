//! A provider's key set (RFC 7517) and which of its keys a token was signed with.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_protocol::{bounds::Bound, provider_rules::ProviderRule};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::{
    IdpError,
    algorithm::{Algorithm, KeyKind},
    json::{self, given},
};

/// How many keys of one name are tried for one token: providers were seen to publish a key twice, or two under one name while
/// they change it.
const MOST_OF_ONE_NAME: usize = 4;
/// Members that only private keys have (RFC 7518 section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A public key that ID tokens may be signed with.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    kid: Option<String>,
    shape: KeyKind,
    algorithm: Option<Algorithm>,
    /// What makes it this key and no other (RFC 7638 section 3.2).
    material: Vec<Vec<u8>>,
    decoding: DecodingKey,
}

impl Key {
    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.shape == algorithm.key_kind() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

/// The keys that hubkey understands.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a set. Keys of other kinds and uses are skipped one by one; a private key spoils the whole set, since
    /// whoever fetched it can sign.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, IdpError> {
        let mut document =
            json::object(body).map_err(|_| IdpError::RuleBroken(ProviderRule::JwksForm))?;
        let Some(Value::Array(members)) = document.remove("keys") else {
            return Err(IdpError::RuleBroken(ProviderRule::JwksForm));
        };
        if members.len() > Bound::Keys.limit() {
            return Err(IdpError::RuleBroken(ProviderRule::JwksTooManyKeys));
        }
        let members = members.iter().filter_map(Value::as_object);
        let members: Vec<_> = members
            .filter(|key| text(key, "kty") != Some("oct"))
            .collect();
        if members
            .iter()
            .any(|key| PRIVATE.iter().any(|name| given(key, name).is_some()))
        {
            return Err(IdpError::RuleBroken(ProviderRule::JwksPrivateKey));
        }
        Ok(Self(members.into_iter().filter_map(key).collect()))
    }

    /// The keys that a token of this name and algorithm may be signed with, each once: a few where several have the name;
    /// the only one that fits the algorithm where the token names none.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&Key>, ProviderRule> {
        let named = |key: &Key| kid.is_none() || key.kid.as_deref() == kid;
        let fitting = self.0.iter();
        let mut candidates: Vec<&Key> = Vec::new();
        for key in fitting.filter(|key| named(key) && key.fits(algorithm)) {
            let is_this = |known: &&Key| known.material == key.material;
            if !candidates.iter().any(is_this) {
                candidates.push(key);
            }
        }
        let most = kid.map_or(1, |_| MOST_OF_ONE_NAME);
        if (1..=most).contains(&candidates.len()) {
            Ok(candidates)
        } else {
            Err(ProviderRule::IdTokenKey)
        }
    }
}

fn key(members: &Map<String, Value>) -> Option<Key> {
    let kid = match given(members, "kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= Bound::KeyName.limit() => Some(kid.clone()),
        Some(_) => return None,
    };
    let algorithm = match given(members, "alg") {
        None => None,
        Some(name) => Some(Algorithm::parse(name.as_str()?)?),
    };
    if !may_verify(members) {
        return None;
    }
    let (shape, decoding) = decoding_key(members)?;
    let material = ["n", "e", "x", "y"].iter();
    Some(Key {
        kid,
        shape,
        algorithm,
        material: material
            .filter_map(|name| Some(without_zeros(&decoded(text(members, name)?)?).to_vec()))
            .collect(),
        decoding,
    })
}

/// `use` and `key_ops`, where they are given.
fn may_verify(members: &Map<String, Value>) -> bool {
    let signs = given(members, "use").is_none_or(|purpose| purpose.as_str() == Some("sig"));
    let verifies = given(members, "key_ops").is_none_or(|operations| {
        operations
            .as_array()
            .is_some_and(|list| list.iter().any(|one| one.as_str() == Some("verify")))
    });
    signs && verifies
}

fn decoding_key(members: &Map<String, Value>) -> Option<(KeyKind, DecodingKey)> {
    match (text(members, "kty")?, text(members, "crv")) {
        ("RSA", _) => Some((KeyKind::Rsa, rsa(members)?)),
        ("EC", Some("P-256")) => Some((KeyKind::P256, elliptic(members, 32)?)),
        ("EC", Some("P-384")) => Some((KeyKind::P384, elliptic(members, 48)?)),
        ("OKP", Some("Ed25519")) => {
            let x = text(members, "x")?;
            (decoded(x)?.len() == 32).then_some(())?;
            Some((KeyKind::Ed25519, DecodingKey::from_ed_components(x).ok()?))
        }
        _ => None,
    }
}

/// 2048 to 8192 bits, and an exponent that is odd, more than 1 and of a sane size.
fn rsa(members: &Map<String, Value>) -> Option<DecodingKey> {
    let modulus = decoded(text(members, "n")?)?;
    let exponent = decoded(text(members, "e")?)?;
    let modulus = without_zeros(&modulus);
    let exponent = without_zeros(&exponent);
    let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    let sane = matches!(exponent, [.., last] if last % 2 == 1)
        && exponent != [1]
        && exponent.len() <= 4
        && (2048..=8192).contains(&bits);
    sane.then(|| DecodingKey::from_rsa_raw_components(modulus, exponent))
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Whether the point lies on the curve is checked with each signature.
fn elliptic(members: &Map<String, Value>, size: usize) -> Option<DecodingKey> {
    let (x, y) = (text(members, "x")?, text(members, "y")?);
    let whole = decoded(x)?.len() == size && decoded(y)?.len() == size;
    whole
        .then(|| DecodingKey::from_ec_components(x, y).ok())
        .flatten()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}
