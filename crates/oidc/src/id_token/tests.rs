//! Our judgement beside openidconnect's: what it refuses, we refuse. And no bytes make us panic.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_fakes::hostile_provider::{Alg, HostileProvider, SigningKey, scenarios};
use openidconnect::{
    ClientId, IssuerUrl, Nonce,
    core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{jwks::KeySet, jwt::UnverifiedJwt};

const CLIENT: &str = "hubkey";
const NONCE: &str = "the-nonce";
const ALLOWED: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// One provider as both judges know it.
struct Bench {
    issuer: String,
    jwks: String,
    now: u64,
}

impl Bench {
    fn new(issuer: &str, keys: &[SigningKey]) -> Self {
        let keys: Vec<_> = keys.iter().map(SigningKey::jwk).collect();
        Self {
            issuer: issuer.to_owned(),
            jwks: json!({ "keys": keys }).to_string(),
            now: jsonwebtoken::get_current_timestamp(),
        }
    }

    fn ours(&self, token: &str) -> Result<(), ProviderRule> {
        let keys = KeySet::parse(self.jwks.as_bytes()).unwrap();
        let expected = Expected {
            issuer: &self.issuer,
            client_id: CLIENT,
            additional_audiences: &[],
            now: Timestamp::from_millis(self.now * 1000),
            skew: Duration::ZERO,
        };
        let transaction = Transaction {
            oidc_nonce: &OidcNonce::new(NONCE),
            access_token: &AccessToken::new("at"),
            code: &AuthorizationCode::new("code"),
            max_age: None,
            contexts: &[],
        };
        let token = UnverifiedJwt::parse(token, &ALLOWED)?;
        let candidates = keys.candidates(token.kid(), token.algorithm())?;
        let claims = token.verify(candidates[0])?;
        judge(&claims, token.algorithm(), &expected, &transaction)
    }

    fn theirs(&self, token: &str) -> Result<(), String> {
        let keys: CoreJsonWebKeySet = serde_json::from_str(&self.jwks).unwrap();
        let issuer = IssuerUrl::new(self.issuer.clone()).unwrap();
        let verifier =
            CoreIdTokenVerifier::new_public_client(ClientId::new(CLIENT.into()), issuer, keys)
                .set_allowed_algs([
                    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
                    CoreJwsSigningAlgorithm::EdDsa,
                ]);
        let token: CoreIdToken = token.parse().map_err(|_| "unreadable".to_owned())?;
        let nonce = Nonce::new(NONCE.into());
        let claims = token.claims(&verifier, &nonce);
        claims.map(|_| ()).map_err(|error| error.to_string())
    }

    /// The differential rule.
    fn compare(&self, token: &str) -> Result<(), ProviderRule> {
        let ours = self.ours(token);
        if ours.is_ok() {
            let theirs = self.theirs(token);
            assert_eq!(theirs, Ok(()), "we accepted {token}");
        }
        ours
    }

    fn honest_claims(&self) -> Value {
        json!({
            "iss": self.issuer, "sub": "alice", "aud": CLIENT, "nonce": NONCE,
            "iat": self.now, "exp": self.now + 3600, "auth_time": self.now - 5,
            "name": "Alice", "email": "alice@op.example", "email_verified": true,
        })
    }
}

fn compact(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(key.alg(), message.as_bytes()));
    format!("{message}.{signature}")
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": key.alg().name(), "kid": key.kid, "typ": "JWT"})
}

#[tokio::test]
async fn security_differential_every_scenario_that_openidconnect_refuses_is_refused() {
    let provider = HostileProvider::start().await.unwrap();
    for alg in [Alg::Rs256, Alg::Es256, Alg::EdDsa] {
        provider.signing_keys().generate(&[alg]).unwrap();
        // The token first: it must not be younger than the bench's time.
        let honest = provider.signing_keys().mint_id_token(CLIENT, NONCE);
        let bench = Bench::new(&provider.issuer(), &provider.signing_keys().all());
        assert_eq!(bench.theirs(&honest), Ok(()));
        assert_eq!(bench.compare(&honest), Ok(()));
        for case in scenarios::id_token::all() {
            provider.next_id_token(case.alter);
            let token = provider.signing_keys().mint_id_token(CLIENT, NONCE);
            let ours = bench.compare(&token);
            if case.refused && case.row != "p43" {
                assert!(ours.is_err(), "{alg:?}: {}", case.name);
            }
        }
    }
}

/// Values that a claim or a header member could wrongly have.
fn value() -> impl Strategy<Value = Value> {
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (-2i64..=2).prop_map(move |hours| json!(now + hours * 3600)),
        (-2i64..=2).prop_map(move |hours| json!((now + hours * 3600).to_string())),
        prop::sample::select(vec![
            "",
            CLIENT,
            NONCE,
            "alice",
            "other",
            "JWT",
            "jwt",
            "RS256",
            "ES256",
            "EdDSA",
            "none",
            "HS256",
            "at+jwt",
            "https://op.example",
            "https://op.example/",
        ])
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|members| json!(members)),
        ]
    })
}

/// Changes to some members; absent means without it.
fn changes(
    names: &'static [&'static str],
) -> impl Strategy<Value = Vec<(&'static str, Option<Value>)>> {
    let change = (
        prop::sample::select(names),
        prop::option::weighted(0.8, value()),
    );
    prop::collection::vec(change, 0..3)
}

fn apply(object: &mut Value, changes: Vec<(&str, Option<Value>)>) {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes {
        match value {
            Some(value) => members.insert(name.to_owned(), value),
            None => members.remove(name),
        };
    }
}

/// What is judged, and some that openidconnect does not know.
const CLAIMS: &[&str] = &[
    "iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "groups", "sid",
];
/// What nobody reads where the settings do not ask for it, or only as the text that it may be.
const UNREAD: &[&str] = &[
    "acr",
    "amr",
    "auth_time",
    "name",
    "name#de",
    "email",
    "email_verified",
    "updated_at",
    "address",
    "locale",
    "birthdate",
    "gender",
    "picture",
    "phone_number_verified",
    "zoneinfo",
];
const HEADER: &[&str] = &[
    "alg", "kid", "typ", "cty", "crit", "jwk", "x5c", "b64", "zip",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn security_differential_whatever_openidconnect_refuses_is_refused(
        in_claims in changes(CLAIMS),
        in_unread in changes(UNREAD),
        in_header in changes(HEADER),
        touch_header in prop::bool::weighted(0.3),
    ) {
        let key = SigningKey::generate(Alg::EdDsa, 0).unwrap();
        let bench = Bench::new("https://op.example", std::slice::from_ref(&key));
        let (mut head, mut claims) = (header(&key), bench.honest_claims());
        apply(&mut claims, in_claims);
        if touch_header {
            apply(&mut head, in_header);
        }
        let judged = bench.compare(&compact(&key, &head, &claims));
        // openidconnect wants a type for each claim for people; whatever they are, they decide nothing (ADR 56).
        apply(&mut claims, in_unread);
        prop_assert_eq!(bench.ours(&compact(&key, &head, &claims)), judged);
    }

    #[test]
    fn security_p45_arbitrary_text_as_token_never_panics(
        text in "\\PC{0,60}",
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..7),
    ) {
        let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
        prop_assert!(UnverifiedJwt::parse(&text, &ALLOWED).is_err());
        prop_assert!(UnverifiedJwt::parse(&parts.join("."), &ALLOWED).is_err());
    }

    #[test]
    fn security_p45_a_flipped_byte_is_never_accepted(place in any::<prop::sample::Index>(), bit in 0..7u32) {
        let key = SigningKey::generate(Alg::EdDsa, 0).unwrap();
        let bench = Bench::new("https://op.example", std::slice::from_ref(&key));
        let token = compact(&key, &header(&key), &bench.honest_claims());
        prop_assert_eq!(bench.compare(&token), Ok(()));
        let mut bytes = token.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let token = String::from_utf8(bytes).unwrap();
        prop_assert!(bench.compare(&token).is_err());
    }

    #[test]
    fn security_p58_arbitrary_key_sets_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        keys in prop::collection::vec(
            changes(&["kty", "crv", "x", "y", "n", "e", "d", "use", "alg", "kid", "key_ops"]), 0..4,
        ),
    ) {
        let _ = KeySet::parse(&bytes);
        let keys: Vec<_> = keys
            .into_iter()
            .map(|changed| {
                let mut key = SigningKey::generate(Alg::EdDsa, 0).unwrap().jwk();
                apply(&mut key, changed);
                key
            })
            .collect();
        if let Ok(set) = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()) {
            for algorithm in ALLOWED {
                let _ = set.candidates(None, algorithm);
            }
        }
    }
}

#[test]
fn fractions_of_seconds_are_numbers_and_bounds_are_exact() {
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let bench = Bench::new("https://op.example", std::slice::from_ref(&key));
    let judged = |name: &str, value: Value| {
        let mut claims = bench.honest_claims();
        claims[name] = value;
        bench.ours(&compact(&key, &header(&key), &claims))
    };
    let now = bench.now;
    assert_eq!(judged("exp", json!(now)), Err(ProviderRule::IdTokenExpiry));
    assert_eq!(judged("exp", json!(now + 1)), Ok(()));
    assert_eq!(
        judged("exp", json!(1e300)),
        Err(ProviderRule::IdTokenExpiry)
    );
    assert_eq!(
        judged("iat", json!(now + 1)),
        Err(ProviderRule::IdTokenIssuedAt)
    );
    assert_eq!(judged("iat", json!(now - 600)), Ok(()));
    assert_eq!(
        judged("iat", json!(now - 601)),
        Err(ProviderRule::IdTokenIssuedAt)
    );
    assert_eq!(judged("nbf", json!(now)), Ok(()));
    assert_eq!(
        judged("nbf", json!(now + 1)),
        Err(ProviderRule::IdTokenNotBefore)
    );
    assert_eq!(
        judged("nbf", json!("0")),
        Err(ProviderRule::IdTokenNotBefore)
    );
    assert_eq!(judged("nbf", json!(null)), Ok(()));
}
