//! A signed JWT in its compact form, before and after its signature is checked. jsonwebtoken does the arithmetic of
//! the signature and nothing else: which key, which algorithm and which claims are decided here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_protocol::{bounds::Bound, provider_rules::ProviderRule};
use serde_json::{Map, Value};

use crate::{algorithm::Algorithm, json, jwks::Key};

/// The claims of a token.
pub(crate) type Claims = Map<String, Value>;

/// A token that nobody has vouched for: only what is needed to choose a key can be read.
pub(crate) struct UnverifiedJwt<'a> {
    unverified_algorithm: Algorithm,
    unverified_kid: Option<String>,
    unverified_payload: Vec<u8>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> UnverifiedJwt<'a> {
    /// Takes the three parts of an ID token, or of what has no type of its own, apart and judges the header.
    pub(crate) fn parse(token: &'a str, allowed: &[Algorithm]) -> Result<Self, ProviderRule> {
        Self::parse_as("JWT", token, allowed)
    }

    /// As [`Self::parse`], for another type of token (RFC 8725 section 3.11).
    pub(crate) fn parse_as(
        kind: &str,
        token: &'a str,
        allowed: &[Algorithm],
    ) -> Result<Self, ProviderRule> {
        if token.len() > Bound::IdToken.limit() {
            return Err(ProviderRule::IdTokenTooLong);
        }
        let segments: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = segments[..] else {
            return Err(match segments.len() {
                5 => ProviderRule::IdTokenEncrypted,
                _ => ProviderRule::IdTokenForm,
            });
        };
        let decode = |part| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| ProviderRule::IdTokenForm)
        };
        let header =
            json::signed_object(&decode(header)?).map_err(|_| ProviderRule::IdTokenForm)?;
        decode(signature)?;
        Ok(Self {
            unverified_algorithm: algorithm(&header, allowed, kind)?,
            unverified_kid: kid(&header)?,
            unverified_payload: decode(payload)?,
            signed: &token[..token.len() - signature.len() - 1],
            signature,
        })
    }

    /// What the header says it is signed with; one of the allowed ones.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.unverified_algorithm
    }

    /// What the header says the key is called. Only ever a name to look up (RFC 8725 section 3.10).
    pub(crate) fn kid(&self) -> Option<&str> {
        self.unverified_kid.as_deref()
    }

    /// The claims, once the signature fits the key.
    pub(crate) fn verify(&self, key: &Key) -> Result<Claims, ProviderRule> {
        let genuine = jsonwebtoken::crypto::verify(
            self.signature,
            self.signed.as_bytes(),
            key.decoding(),
            self.unverified_algorithm.jose(),
        );
        if !matches!(genuine, Ok(true)) {
            return Err(ProviderRule::IdTokenSignature);
        }
        json::signed_object(&self.unverified_payload).map_err(|_| ProviderRule::IdTokenForm)
    }
}

/// `crit` (RFC 7515 section 4.1.11), `typ` and `cty` (RFC 8725 section 3.11: no other kind of token passes for this one)
/// and `alg` (RFC 8725 section 3.1). Keys that come along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.
fn algorithm(
    header: &Claims,
    allowed: &[Algorithm],
    kind: &str,
) -> Result<Algorithm, ProviderRule> {
    if header.contains_key("crit") {
        return Err(ProviderRule::IdTokenCritical);
    }
    match json::given(header, "typ") {
        None => {}
        Some(Value::String(given)) if given.eq_ignore_ascii_case(kind) => {}
        Some(_) => return Err(ProviderRule::IdTokenType),
    }
    if json::given(header, "cty").is_some() {
        return Err(ProviderRule::IdTokenType);
    }
    let name = header.get("alg").and_then(Value::as_str);
    let name = name.filter(|name| !name.eq_ignore_ascii_case("none"));
    let algorithm = Algorithm::parse(name.ok_or(ProviderRule::IdTokenAlgorithm)?);
    let algorithm = algorithm.ok_or(ProviderRule::IdTokenAlgorithmUnknown)?;
    let accepted = allowed.contains(&algorithm).then_some(algorithm);
    accepted.ok_or(ProviderRule::IdTokenAlgorithm)
}

/// Which key.
fn kid(header: &Claims) -> Result<Option<String>, ProviderRule> {
    match json::given(header, "kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= Bound::KeyName.limit() => Ok(Some(kid.clone())),
        Some(_) => Err(ProviderRule::IdTokenKeyId),
    }
}
