//! `private_key_jwt` (RFC 7523) before a provider that is strict about it.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hubkey_domain::provider::{AssertionKey, ClientAuthentication};
use hubkey_fakes::{
    fake_http::Captured,
    hostile_provider::{Alg, Client, Endpoint, HostileProvider, SigningKey},
};
use hubkey_oidc::{IdentityProvider, IdpError, KeyFault, OAuthError, check_key};
use hubkey_protocol::secret::ClientKey;
use serde_json::Value;

use crate::{
    refreshing::refresh,
    support::{Setup, config},
};

fn assertion_key(key: &SigningKey, algorithm: Option<&str>) -> AssertionKey {
    AssertionKey {
        pem: ClientKey::new(key.private_pem().unwrap()),
        id: Some(key.kid.clone()),
        algorithm: algorithm.map(str::to_owned),
        published_with: None,
    }
}

/// A provider where hubkey is registered with the public half of `registered`, and proves itself with `used`.
async fn setup(registered: &SigningKey, used: AssertionKey) -> Setup {
    let op = HostileProvider::start().await.unwrap();
    let issuer = op.issuer();
    op.register(Client::private_key("hubkey", registered, &issuer));
    let mut config = config(&issuer);
    config.token_endpoint_auth_method = ClientAuthentication::PrivateKey(used);
    Setup::of(op, config)
}

/// Header and claims; the provider checked the signature.
fn statement(request: &Captured) -> (Value, Value) {
    let text = request.form_value("client_assertion").unwrap();
    let part = |at: usize| {
        let part = text.split('.').nth(at).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    (part(0), part(1))
}

#[tokio::test]
async fn security_p31_statements_name_the_issuer_alone_and_every_endpoint_takes_them() {
    let chosen = [
        (Alg::Ps256, None),
        (Alg::Rs256, Some("RS256")),
        (Alg::Es256, None),
        (Alg::EdDsa, None),
    ];
    for (alg, algorithm) in chosen {
        let key = SigningKey::generate(alg, 0).unwrap();
        let setup = setup(&key, assertion_key(&key, algorithm)).await;
        let granted = setup.sign_in().await.unwrap();
        refresh(&setup, &granted).await.unwrap();
        let tokens = (
            &granted.tokens.access_token,
            granted.tokens.refresh_token.as_ref(),
        );
        setup.client.revoke(tokens.0, tokens.1).await;
        assert_eq!(setup.op.revoked().len(), 2, "{}", alg.name());
        let request = &setup.op.requests(Endpoint::Token)[0];
        assert!(request.authorization().is_none());
        assert!(request.form_value("client_secret").is_none());
        let (header, claims) = statement(request);
        assert_eq!(claims["aud"], Value::String(setup.op.issuer()));
        assert_eq!(header["kid"], key.kid.as_str());
        assert_eq!(header["typ"], "client-authentication+jwt");
    }
}

#[tokio::test]
async fn security_p32_no_statement_is_sent_twice() {
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let setup = setup(&key, assertion_key(&key, None)).await;
    for _ in 0..2 {
        setup.sign_in().await.unwrap();
    }
    let requests = setup.op.requests(Endpoint::Token);
    let names: Vec<_> = requests
        .iter()
        .map(|request| statement(request).1["jti"].clone())
        .collect();
    assert_eq!(names.len(), 2);
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn security_p33_statements_live_a_minute_at_most() {
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let setup = setup(&key, assertion_key(&key, None)).await;
    setup.sign_in().await.unwrap();
    let (_, told) = statement(&setup.op.requests(Endpoint::Token)[0]);
    let life = told["exp"].as_u64().unwrap() - told["iat"].as_u64().unwrap();
    assert!((1..=60).contains(&life), "{life}");
}

#[tokio::test]
async fn security_p34_another_key_or_algorithm_than_the_registered_one_is_a_misconfiguration() {
    let rsa = SigningKey::generate(Alg::Ps256, 0).unwrap();
    let other = SigningKey::generate(Alg::Ps256, 1).unwrap();
    for used in [
        assertion_key(&other, None),
        assertion_key(&rsa, Some("RS256")),
    ] {
        let setup = setup(&rsa, used).await;
        let refused = setup.sign_in().await.err();
        assert_eq!(refused, Some(IdpError::Refused(OAuthError::Misconfigured)));
        assert_eq!(setup.hits(Endpoint::Token), 1);
    }
}

#[test]
fn a_key_that_cannot_sign_is_told_at_the_start() {
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let pem = ClientKey::new(key.private_pem().unwrap());
    let unusable = Err(KeyFault::Unusable);
    assert_eq!(check_key(&pem, None, true), Ok(()));
    assert_eq!(check_key(&pem, Some("RS256"), false), unusable);
    for pem in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ] {
        assert_eq!(check_key(&ClientKey::new(pem), None, false), unusable);
    }
}

#[test]
fn a_key_that_signs_and_cannot_be_published_is_told_apart() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let newer = pair.to_pkcs8().unwrap();
    let encoded = STANDARD.encode(newer.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
    let pem = ClientKey::new(pem);
    assert_eq!(check_key(&pem, None, false), Ok(()));
    assert_eq!(check_key(&pem, None, true), Err(KeyFault::Unpublishable));
}

#[tokio::test]
async fn a_published_key_is_named_by_its_thumbprint_and_shows_no_private_part() {
    for alg in [Alg::Ps256, Alg::Es256, Alg::EdDsa] {
        let key = SigningKey::generate(alg, 0).unwrap();
        let next = SigningKey::generate(Alg::Es256, 1).unwrap();
        let published = AssertionKey {
            id: None,
            published_with: Some(vec![ClientKey::new(next.private_pem().unwrap())]),
            ..assertion_key(&key, None)
        };
        let setup = setup(&key, published).await;
        setup.sign_in().await.unwrap();
        let (header, _) = statement(&setup.op.requests(Endpoint::Token)[0]);
        let set = setup.client.key_set().unwrap()["keys"].clone();
        assert_eq!(header["kid"], set[0]["kid"], "{}", alg.name());
        assert_eq!(set[0]["kid"].as_str().unwrap().len(), 43, "of SHA-256");
        assert_ne!(set[0]["kid"], set[1]["kid"]);
        for (shown, key) in [(&set[0], &key), (&set[1], &next)] {
            let mut public = key.jwk();
            public["kid"] = shown["kid"].clone();
            assert_eq!(shown, &public);
        }
    }
}

#[tokio::test]
async fn nothing_is_published_unasked() {
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let setup = setup(&key, assertion_key(&key, None)).await;
    assert_eq!(setup.client.key_set(), None);
}
