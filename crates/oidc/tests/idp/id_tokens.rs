//! ID tokens that must be refused, row by row.

use hubkey_fakes::{
    fake_http::Bystander,
    hostile_provider::{
        Alg, Endpoint, SigningKey,
        scenarios::id_token::{self, bring_own_key, point_elsewhere},
    },
};
use hubkey_protocol::secret::Secret;
use serde_json::json;

use crate::support::{Setup, Transaction, word};

/// Every case of a row, at a provider with keys of this algorithm. What must be refused is refused with one of `words`.
async fn row(row: &str, alg: Alg, words: &[&str]) {
    let cases = id_token::of(row);
    assert!(!cases.is_empty(), "{row} has no cases");
    // An odd subject is not the one that userinfo speaks of.
    let plain = Setup::with(|config| config.id_token.fetch_userinfo = false).await;
    let strict = Setup::new().await;
    for setup in [&plain, &strict] {
        setup.op.signing_keys().generate(&[alg]).unwrap();
        setup.sign_in_honestly().await;
    }
    for case in cases {
        let name = format!("{row}: {}", case.name);
        let setup = if case.refused { &strict } else { &plain };
        setup.op.forget_requests();
        setup.op.next_id_token(case.alter);
        let result = setup.sign_in().await;
        assert_eq!(setup.hits(Endpoint::Token), 1, "{name}");
        assert!(setup.hits(Endpoint::Jwks) <= 1, "{name}");
        assert_eq!(setup.hits(Endpoint::UserInfo), 0, "{name}");
        if case.refused {
            let word = word(result);
            assert!(words.contains(&word), "{name}: {word}");
        } else {
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

macro_rules! rows {
    ($($name:ident: $row:literal, $alg:ident, [$($word:literal),*];)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                row($row, Alg::$alg, &[$($word),*]).await;
            }
        )*
    };
}

rows! {
    security_p21_wrong_issuer_is_refused: "p21", Rs256, ["id_token_iss"];
    security_p22_wrong_audience_is_refused: "p22", Rs256, ["id_token_aud"];
    security_p23_missing_audience_is_refused: "p23", Rs256, ["id_token_aud"];
    security_p24_unknown_further_audience_is_refused: "p24", Rs256, ["id_token_aud"];
    security_p25_wrong_authorized_party_is_refused: "p25", Rs256, ["id_token_azp"];
    security_p26_broken_rs256_signature_is_refused: "p26", Rs256, ["id_token_signature"];
    security_p27_unsigned_token_is_refused: "p27", Rs256, ["id_token_alg"];
    security_p28_broken_es256_signature_is_refused: "p28", Es256, ["id_token_signature"];
    security_p29_hs256_is_refused: "p29", Rs256, ["id_token_alg_unknown"];
    security_p30_good_rs256_is_accepted: "p30", Rs256, [];
    security_p30_good_ps256_is_accepted: "p30", Ps256, [];
    security_p30_good_es256_is_accepted: "p30", Es256, [];
    security_p30_good_eddsa_is_accepted: "p30", EdDsa, [];
    security_p35_expired_or_missing_expiry_is_refused: "p35", Rs256, ["id_token_exp"];
    security_p36_missing_iat_is_refused: "p36", Rs256, ["id_token_iat"];
    security_p37_iat_out_of_bounds_is_refused: "p37", Rs256, ["id_token_iat"];
    security_p38_nbf_in_the_future_is_refused: "p38", Rs256, ["id_token_nbf"];
    security_p39_wrong_or_missing_nonce_is_refused: "p39", Rs256, ["id_token_nonce"];
    security_p42_bad_subject_is_refused: "p42", Rs256, ["id_token_sub"];
    security_p43_wrong_at_hash_is_refused: "p43", Rs256, ["id_token_at_hash"];
    security_p43_at_hash_of_eddsa_is_checked: "p43", EdDsa, ["id_token_at_hash"];
    security_p45_malformed_token_is_refused: "p45", Rs256, ["id_token_form", "id_token_too_long", "answer_too_long"];
    security_p46_encrypted_token_is_refused: "p46", Rs256, ["id_token_encrypted"];
    security_p47_hs256_under_the_public_key_is_refused: "p47", Rs256, ["id_token_alg_unknown"];
    security_p49_alternate_algorithm_is_refused: "p49", Rs256, ["id_token_alg", "id_token_alg_unknown", "id_token_key"];
    security_p50_critical_extension_is_refused: "p50", Rs256, ["id_token_crit"];
    security_p52_other_kinds_of_tokens_are_refused: "p52", Rs256, ["id_token_typ"];
    security_p53_values_of_wrong_types_are_refused: "p53", Rs256, ["id_token_iss", "id_token_aud", "id_token_form"];
    security_p54_no_kid_with_a_single_key_is_accepted: "p54", Rs256, [];
    security_p59_hostile_kid_is_refused: "p59", Rs256, ["id_token_kid", "id_token_key", "id_token_too_long", "answer_too_long"];
}

#[tokio::test]
async fn security_p22_p23_p24_only_trusted_audiences_may_stand_beside_us() {
    let setup =
        Setup::with(|config| config.id_token.additional_audiences = vec!["api".into()]).await;
    setup.op.id_tokens(|token| {
        token.claim("aud", json!(["hubkey", "api"]));
        token.claim("azp", "hubkey");
    });
    setup.sign_in_honestly().await;
    setup
        .op
        .next_id_token(|token| token.claim("aud", json!(["api"])));
    assert_eq!(word(setup.sign_in().await), "id_token_aud");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn found_b3_audiences_that_are_ours_or_trusted_need_no_authorized_party() {
    let setup =
        Setup::with(|config| config.id_token.additional_audiences = vec!["api".into()]).await;
    for audience in [
        json!(["hubkey", "api"]),
        json!(["api", "hubkey"]),
        json!(["hubkey", "hubkey"]),
        json!(["hubkey"]),
    ] {
        let audience = audience.clone();
        setup.op.next_id_token(move |token| {
            token.claim("aud", audience);
            token.without("azp");
        });
        setup.sign_in_honestly().await;
    }
    for (audience, party, refused) in [
        (json!(["hubkey", "api"]), json!("api"), "id_token_azp"),
        (json!(["hubkey", "api"]), json!(["hubkey"]), "id_token_azp"),
        (json!(["hubkey", "other"]), json!("hubkey"), "id_token_aud"),
        (json!([]), json!("hubkey"), "id_token_aud"),
    ] {
        setup.op.next_id_token(move |token| {
            token.claim("aud", audience);
            token.claim("azp", party);
        });
        assert_eq!(word(setup.sign_in().await), refused);
    }
}

#[tokio::test]
async fn security_p40_the_nonce_of_another_live_sign_in_is_refused() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let other = Transaction::new();
    setup.authorize(&other).await.unwrap();
    let nonce = other.oidc_nonce.expose().to_owned();
    setup
        .op
        .next_id_token(move |token| token.claim("nonce", nonce));
    assert_eq!(word(setup.sign_in().await), "id_token_nonce");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p41_asked_for_contexts_and_ages_are_demanded() {
    let setup = Setup::with(|config| {
        config.extra_authorization_parameters = [
            ("acr_values".to_owned(), "mfa hardware".to_owned()),
            ("max_age".to_owned(), "600".to_owned()),
        ]
        .into();
    })
    .await;
    setup.op.id_tokens(|token| token.claim("acr", "mfa"));
    setup.sign_in_honestly().await;
    setup
        .op
        .next_id_token(|token| token.claim("acr", "password"));
    assert_eq!(word(setup.sign_in().await), "id_token_acr");
    setup.op.next_id_token(|token| token.without("acr"));
    assert_eq!(word(setup.sign_in().await), "id_token_acr");
    setup
        .op
        .next_id_token(|token| token.shift("auth_time", -3600));
    assert_eq!(word(setup.sign_in().await), "id_token_auth_time");
    setup.op.next_id_token(|token| token.without("auth_time"));
    assert_eq!(word(setup.sign_in().await), "id_token_auth_time");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p43_wrong_c_hash_is_refused() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup
        .op
        .next_id_token(|token| token.claim("c_hash", "A".repeat(22)));
    assert_eq!(word(setup.sign_in().await), "id_token_c_hash");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p51_keys_that_come_along_are_never_looked_at() {
    let setup = Setup::new().await;
    let bystander = Bystander::start().await.unwrap();
    setup.sign_in_honestly().await;
    let url = bystander.url();
    setup
        .op
        .next_id_token(move |token| point_elsewhere(token, &url));
    setup.sign_in_honestly().await;

    let url = bystander.url();
    let own = SigningKey::generate(Alg::Rs256, 40).unwrap();
    setup
        .op
        .next_id_token(move |token| bring_own_key(token, &own, &url));
    assert_eq!(word(setup.sign_in().await), "id_token_key");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);

    // The same, under the name of the provider's own key.
    let url = bystander.url();
    let mut own = SigningKey::generate(Alg::Rs256, 40).unwrap();
    own.kid.clone_from(&setup.op.signing_keys().all()[0].kid);
    setup
        .op
        .next_id_token(move |token| bring_own_key(token, &own, &url));
    assert_eq!(word(setup.sign_in().await), "id_token_signature");
    assert_eq!(bystander.hits(), 0);
}

#[tokio::test]
async fn found_b1_what_is_used_counts_only_as_the_text_that_it_may_be() {
    let setup = Setup::with(|config| config.id_token.fetch_userinfo = false).await;
    setup.sign_in_honestly().await;
    for (name, value) in [
        ("name", json!(1)),
        ("name#de", json!([])),
        ("email", json!({})),
        ("email_verified", json!("yes")),
        ("updated_at", json!("yesterday")),
        ("address", json!("here")),
        ("amr", json!("pwd")),
        (
            "_claim_sources",
            json!({"src": {"endpoint": "http://169.254.169.254/", "access_token": "x"}}),
        ),
    ] {
        setup
            .op
            .next_id_token(move |token| token.claim(name, value));
        let granted = setup.sign_in().await.unwrap();
        let account = &granted.account;
        let shown = if name == "name" {
            "op-alice"
        } else {
            "Person op-alice"
        };
        assert_eq!(account.name.as_deref(), Some(shown), "{name}");
        let vouched = !name.starts_with("email");
        assert_eq!(account.email.is_some(), vouched, "{name}");
        assert_eq!(granted.claims.contains_key("email"), vouched, "{name}");
    }
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn found_b1_asked_for_contexts_and_ages_of_odd_types_are_refused() {
    for (parameter, value, claim, word) in [
        ("acr_values", "mfa", "acr", "id_token_acr"),
        ("max_age", "600", "auth_time", "id_token_auth_time"),
    ] {
        let setup = Setup::with(|config| {
            config.extra_authorization_parameters =
                [(parameter.to_owned(), value.to_owned())].into();
            config.id_token.fetch_userinfo = false;
        })
        .await;
        for odd in [
            json!(null),
            json!(["mfa"]),
            json!("now"),
            json!({}),
            json!(true),
        ] {
            setup.op.next_id_token(move |token| token.claim(claim, odd));
            assert_eq!(crate::support::word(setup.sign_in().await), word);
        }
    }
}
