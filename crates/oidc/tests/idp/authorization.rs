//! The way to the provider and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use hubkey_domain::clock::{TestClock, Timestamp};
use hubkey_fakes::{
    hostile_provider::{Endpoint, HostileProvider, scenarios::metadata},
    pkce,
};
use hubkey_oidc::{IdentityProvider, IdpError, OAuthError, provider};
use hubkey_protocol::{provider_rules::ProviderRule, secret::Secret};
use url::Url;

use crate::support::{CALLBACK, Setup, Transaction, chance, config, scopes, word};

fn parameters(url: &str) -> BTreeMap<String, String> {
    let url = Url::parse(url).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a parameter stands once: {url}");
    map
}

#[tokio::test]
async fn feature_a11_security_p2_the_endpoints_own_query_stays_and_nothing_is_doubled() {
    let mut setup = Setup::with(|config| {
        config.extra_authorization_parameters =
            [("prompt".to_owned(), "select_account".to_owned())].into();
    })
    .await;
    setup.audience = Some("https://api.example".into());
    setup.resource = Some("https://lab.example/v1?x=1".into());
    for case in metadata::of("p2") {
        let altered = Setup::with(|_| ()).await;
        altered.op.metadata(case.alter);
        let url = altered.url(&Transaction::new()).await;
        assert_eq!(url.is_err(), case.refused, "{}", case.name);
        if let Ok(url) = url {
            assert_eq!(parameters(&url)["tenant"], "a b");
        }
    }
    let transaction = Transaction::new();
    let parameters = parameters(&setup.url(&transaction).await.unwrap());
    let challenge = pkce::challenge(transaction.verifier.expose());
    let expected = [
        ("response_type", "code"),
        ("client_id", "hubkey"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid read"),
        ("state", transaction.state.expose()),
        ("nonce", transaction.oidc_nonce.expose()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("audience", "https://api.example"),
        ("resource", "https://lab.example/v1?x=1"),
        ("prompt", "select_account"),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assert_eq!(parameters, expected);
}

#[tokio::test]
async fn security_p2_an_endpoint_query_that_speaks_for_us_is_refused() {
    for query in [
        "client_id=evil",
        "state=x",
        "code_challenge_method=plain",
        "response_mode=fragment",
    ] {
        let setup = Setup::new().await;
        setup.op.metadata(move |metadata| {
            let url = metadata["authorization_endpoint"].as_str().unwrap();
            metadata["authorization_endpoint"] = format!("{url}?{query}").into();
        });
        let url = setup.url(&Transaction::new()).await;
        assert_eq!(word(url), "authorization_endpoint_query", "{query}");
    }
}

#[tokio::test]
async fn feature_a11_security_p2_settings_cannot_override_ours() {
    let clock = Arc::new(TestClock::at(Timestamp::from_millis(0)));
    for name in [
        "state",
        "nonce",
        "redirect_uri",
        "code_challenge",
        "scope",
        "request_uri",
        "resource",
    ] {
        let mut config = config("https://op.example");
        config.extra_authorization_parameters = [(name.to_owned(), "x".to_owned())].into();
        let refused = provider(config, clock.clone(), chance());
        assert_eq!(word(refused), "extra_authorization_parameters", "{name}");
    }
    assert!(provider(config("https://op.example"), clock, chance()).is_ok());
}

#[tokio::test]
async fn security_p15_each_transaction_has_its_own_verifier_and_openid() {
    let mut setup = Setup::new().await;
    setup.scopes = scopes("read");
    let (first, second) = (Transaction::new(), Transaction::new());
    let urls = [
        setup.url(&first).await.unwrap(),
        setup.url(&second).await.unwrap(),
    ];
    let [one, other] = urls.map(|url| parameters(&url));
    assert_eq!(first.verifier.expose().len(), 43);
    for name in ["code_challenge", "state", "nonce"] {
        assert_ne!(one[name], other[name]);
    }
    assert_eq!(one["code_challenge_method"], "S256");
    assert_eq!(one["scope"], "openid read");
    assert!(!urls_hold(&one, first.verifier.expose()));
}

fn urls_hold(parameters: &BTreeMap<String, String>, secret: &str) -> bool {
    parameters.values().any(|value| value.contains(secret))
}

#[tokio::test]
async fn security_p17_a_provider_without_s256_is_refused() {
    for case in metadata::of("p17") {
        let setup = Setup::new().await;
        setup.op.metadata(case.alter);
        let result = setup.sign_in().await;
        assert_eq!(result.is_err(), case.refused, "{}", case.name);
        if case.refused {
            assert_eq!(
                result.err(),
                Some(IdpError::RuleBroken(ProviderRule::PkceS256))
            );
            assert_eq!(setup.hits(Endpoint::Authorize), 0);
            assert_eq!(setup.hits(Endpoint::Token), 0);
        }
    }
}

#[tokio::test]
async fn security_p10_another_issuer_in_the_response_is_refused_before_the_code_is_touched() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let slash = format!("{}/", setup.op.issuer());
    for given in ["https://op.evil.example", slash.as_str(), ""] {
        let checked = setup
            .client
            .check_response_issuer(&setup.op.issuer(), Some(given))
            .await;
        assert_eq!(word(checked), "response_iss");
    }
    assert_eq!(setup.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn security_p10b_the_issuer_of_another_provider_is_refused() {
    let (ours, other) = (Setup::new().await, HostileProvider::start().await.unwrap());
    ours.sign_in_honestly().await;
    let given = other.issuer();
    let checked = ours
        .client
        .check_response_issuer(&ours.op.issuer(), Some(&given))
        .await;
    assert_eq!(word(checked), "response_iss");
    assert_eq!(ours.hits(Endpoint::Token) + other.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn security_p11_an_advertised_issuer_may_not_be_missing() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let issuer = setup.op.issuer();
    let checked = setup.client.check_response_issuer(&issuer, None).await;
    assert_eq!(word(checked), "response_iss_missing");
    assert_eq!(setup.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn security_p12_an_issuer_that_is_not_advertised_is_compared_all_the_same() {
    let setup = Setup::new().await;
    setup.op.metadata(|metadata| {
        metadata["authorization_response_iss_parameter_supported"] = false.into();
    });
    setup.sign_in_honestly().await;
    let issuer = setup.op.issuer();
    let client = &setup.client;
    assert_eq!(client.check_response_issuer(&issuer, None).await, Ok(()));
    let wrong = client.check_response_issuer(&issuer, Some("https://op.evil.example"));
    assert_eq!(word(wrong.await), "response_iss");
    assert_eq!(setup.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn security_p13_a_code_goes_to_the_token_endpoint_of_the_stored_issuer_only() {
    let (ours, other) = (Setup::new().await, Setup::new().await);
    ours.sign_in_honestly().await;
    other.sign_in_honestly().await;
    let transaction = Transaction::new();
    let back = ours.authorize(&transaction).await.unwrap();
    let redemption = ours.redemption(&back.code.unwrap(), transaction);
    let redeemed = other.client.redeem(redemption).await;
    assert_eq!(word(redeemed), "issuer_changed");
    assert_eq!(ours.hits(Endpoint::Token) + other.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn security_p14_two_providers_with_one_client_id_stay_apart() {
    let (ours, other) = (Setup::new().await, Setup::new().await);
    ours.sign_in_honestly().await;
    // The other provider hands out an ID token of ours: same client id, same nonce, and, since RSA keys are shared in
    // this process, a signature that fits its own key set too.
    let transaction = Transaction::new();
    let foreign = ours
        .op
        .signing_keys()
        .mint_id_token("hubkey", transaction.oidc_nonce.expose());
    other
        .op
        .token_responses(move |answer| answer["id_token"] = foreign.clone().into());
    let back = other.authorize(&transaction).await.unwrap();
    let redemption = other.redemption(&back.code.unwrap(), transaction);
    let redeemed = other.client.redeem(redemption).await;
    assert_eq!(word(redeemed), "id_token_iss");
    assert_eq!(other.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p16_a_victims_code_in_another_transaction_is_refused() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let victims = setup.authorize(&Transaction::new()).await.unwrap();
    let redemption = setup.redemption(&victims.code.unwrap(), Transaction::new());
    let redeemed = setup.client.redeem(redemption).await;
    assert_eq!(
        redeemed.err(),
        Some(IdpError::Refused(OAuthError::InvalidGrant))
    );

    // A provider that ignores PKCE: the nonce catches it.
    setup.op.capabilities().ignore_pkce();
    let victims = setup.authorize(&Transaction::new()).await.unwrap();
    let redemption = setup.redemption(&victims.code.unwrap(), Transaction::new());
    let redeemed = setup.client.redeem(redemption).await;
    assert_eq!(word(redeemed), "id_token_nonce");
    assert_eq!(setup.hits(Endpoint::Token), 2);
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn a_provider_on_localhost_is_reached_by_that_name() {
    let op = HostileProvider::start().await.unwrap();
    let (numeric, issuer) = (op.issuer(), op.url_at("localhost"));
    let config = config(&issuer);
    let setup = Setup::of(op, config);
    let (from, to) = (numeric.clone(), issuer.clone());
    setup.op.replies(Endpoint::Discovery, move |reply| {
        reply.edit_text(|text| text.replace(&from, &to));
    });
    let to = issuer.clone();
    setup
        .op
        .id_tokens(move |token| token.claim("iss", to.as_str()));
    let transaction = Transaction::new();
    let authorization = setup.begin(&transaction).await.unwrap();
    assert_eq!(authorization.issuer, issuer);
    let back = setup
        .op
        .authorize(authorization.url.expose())
        .await
        .unwrap();
    let mut redemption = setup.redemption(&back.code.unwrap(), transaction);
    redemption.issuer.clone_from(&issuer);
    let granted = setup.client.redeem(redemption).await.unwrap();
    assert_eq!(granted.issuer, issuer);
}
