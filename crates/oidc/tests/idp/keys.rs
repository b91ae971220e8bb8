//! The provider's keys: what is kept, for how long, and when it is fetched again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::StatusCode;
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{
        Alg, Endpoint, SigningKey,
        scenarios::{
            jwks::{self, OCT_SECRET, off_curve},
            reply,
        },
    },
};
use hubkey_oidc::IdpError;
use serde_json::{Value, json};

use crate::support::{Setup, word};

const HOUR: Duration = Duration::from_hours(1);

/// Every case of a row, each at a provider of its own whose key set is wrong from the start.
async fn row(row: &str, words: &[&str]) {
    let cases = jwks::of(row);
    assert!(!cases.is_empty(), "{row} has no cases");
    for case in cases {
        let setup = Setup::new().await;
        setup.op.jwks(case.alter);
        let result = setup.sign_in().await;
        let name = case.name;
        if case.refused {
            let word = word(result);
            assert!(words.contains(&word), "{row}: {name}: {word}");
            assert_eq!(setup.hits(Endpoint::UserInfo), 0, "{row}: {name}");
            // A set that is refused as a whole keeps the code from being spent.
            let spent = usize::from(word.starts_with("id_token"));
            assert_eq!(setup.hits(Endpoint::Token), spent, "{row}: {name}");
        } else {
            result.unwrap_or_else(|error| panic!("{row}: {name}: {error}"));
        }
    }
}

#[tokio::test]
async fn security_p48_a_symmetric_key_is_ignored() {
    row("p48", &[]).await;
    let setup = Setup::new().await;
    let oct = jwks::of("p48")[0];
    setup.op.jwks(oct.alter);
    setup.sign_in_honestly().await;
    setup.op.next_id_token(|token| {
        token.sign_hs256(OCT_SECRET);
        token.head("kid", "oct");
    });
    assert_eq!(word(setup.sign_in().await), "id_token_alg_unknown");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn feature_g8_security_p49_a_key_for_something_else_is_not_used() {
    row("p49", &["id_token_key"]).await;
}

#[tokio::test]
async fn security_p49_a_short_rsa_key_is_not_used() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup
        .op
        .signing_keys()
        .publish(vec![SigningKey::rsa_1024()]);
    assert_eq!(word(setup.sign_in().await), "id_token_key");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p49_a_point_off_the_curve_verifies_nothing() {
    let setup = Setup::new().await;
    setup.op.signing_keys().generate(&[Alg::Es256]).unwrap();
    setup.op.jwks(off_curve);
    assert_eq!(word(setup.sign_in().await), "id_token_signature");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p55_without_kid_exactly_one_key_must_fit() {
    let setup = Setup::new().await;
    setup
        .op
        .signing_keys()
        .generate(&[Alg::Rs256, Alg::Es256])
        .unwrap();
    setup.op.id_tokens(|token| token.without_head("kid"));
    setup.sign_in_honestly().await;
    setup
        .op
        .signing_keys()
        .generate(&[Alg::Rs256, Alg::Rs256])
        .unwrap();
    assert_eq!(word(setup.sign_in().await), "id_token_key");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn feature_g8_security_p56_a_rotation_between_sign_ins_costs_one_fetch() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup.op.signing_keys().rotate().unwrap();
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn security_p57_a_rotation_just_before_signing_costs_one_fetch() {
    let setup = Setup::new().await;
    setup.op.signing_keys().rotate_before_signing();
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Jwks), 2);
    assert_eq!(setup.hits(Endpoint::Token), 1);
}

/// The set is another one at each read, as behind a balancer in front of two: what the newest read does not have is looked up
/// once more, and what neither has is refused.
#[tokio::test]
async fn found_b4_a_key_set_that_changes_between_two_reads_is_read_once_more() {
    let setup = Setup::new().await;
    setup.op.signing_keys().generate(&[Alg::Es256]).unwrap();
    let other = SigningKey::generate(Alg::Es256, 17).unwrap();
    let reads = AtomicUsize::new(0);
    let published = other.clone();
    setup.op.jwks(move |set| {
        if reads.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            set["keys"] = json!([published.jwk()]);
        }
    });
    // Before the code is spent the set lacks the key; after that it has it.
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Jwks), 2);
    // The other half's key was there once, and is not in the newest set.
    setup.op.forget_requests();
    setup.later(Duration::from_secs(31));
    let nobodys = SigningKey::generate(Alg::Es256, 18).unwrap();
    setup
        .op
        .next_id_token(move |token| token.sign_with(&nobodys));
    assert_eq!(word(setup.sign_in().await), "id_token_key");
    assert_eq!(setup.hits(Endpoint::Jwks), 1);
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p57_thirty_sign_ins_after_a_rotation_share_one_fetch() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup.op.signing_keys().rotate().unwrap();
    let sign_ins = futures_util::future::join_all((0..30).map(|_| setup.sign_in())).await;
    for sign_in in sign_ins {
        sign_in.unwrap();
    }
    assert_eq!(setup.hits(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn security_p58_a_private_key_spoils_the_set_and_odd_keys_do_not() {
    row("p58", &["jwks_private_key"]).await;
}

#[tokio::test]
async fn security_p58_an_unusable_key_set_keeps_the_code_unspent() {
    for case in reply::of("p58") {
        let setup = Setup::new().await;
        setup.op.replies(Endpoint::Jwks, case.alter);
        let refused = setup.sign_in().await.unwrap_err();
        let expected = matches!(refused, IdpError::Unavailable | IdpError::RuleBroken(_));
        assert!(expected, "{}: {refused:?}", case.name);
        assert_eq!(setup.hits(Endpoint::Token), 0, "{}", case.name);
    }
}

#[tokio::test]
async fn security_p59_sets_out_of_bounds_are_refused() {
    row(
        "p59",
        &[
            "id_token_key",
            "jwks_form",
            "jwks_too_many_keys",
            "answer_too_long",
        ],
    )
    .await;
}

#[tokio::test]
async fn security_p59_invented_kids_cause_one_fetch_in_half_a_minute() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    for round in 0..100 {
        setup
            .op
            .next_id_token(move |token| token.head("kid", format!("invented-{round}")));
        assert_eq!(word(setup.sign_in().await), "id_token_key");
    }
    assert_eq!(setup.hits(Endpoint::Jwks), 1);
    setup.later(Duration::from_secs(31));
    setup
        .op
        .next_id_token(|token| token.head("kid", "invented"));
    assert_eq!(word(setup.sign_in().await), "id_token_key");
    assert_eq!(setup.hits(Endpoint::Jwks), 2);
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

/// What a provider publishes is changed: each key once more, or others under the name of the one that signs.
fn published(keys: &mut Value, others: &[SigningKey], copies: usize) {
    let list = keys["keys"].as_array_mut().unwrap();
    let own = list[0].clone();
    for other in others {
        let mut key = other.jwk();
        key["kid"] = own["kid"].clone();
        list.insert(0, key);
    }
    for _ in 0..copies {
        list.push(own.clone());
    }
}

#[tokio::test]
async fn found_b4_keys_of_one_name_are_each_tried_and_equal_ones_are_one() {
    let others: Vec<_> = (10..14)
        .map(|number| SigningKey::generate(Alg::Es256, number).unwrap())
        .collect();
    for (count, copies, accepted) in [
        (0, 1, true),
        (0, 9, true),
        (1, 0, true),
        (3, 3, true),
        (4, 0, false),
    ] {
        let setup = Setup::new().await;
        setup.op.signing_keys().generate(&[Alg::Es256]).unwrap();
        let others = others[..count].to_vec();
        setup.op.jwks(move |keys| published(keys, &others, copies));
        let sign_in = setup.sign_in().await;
        if accepted {
            sign_in.unwrap();
        } else {
            assert_eq!(word(sign_in), "id_token_key");
        }
    }
}

#[tokio::test]
async fn found_b4_a_key_of_the_same_name_verifies_nothing_that_it_did_not_sign() {
    let setup = Setup::new().await;
    setup.op.signing_keys().generate(&[Alg::Es256]).unwrap();
    let foreign = SigningKey::generate(Alg::Es256, 15).unwrap();
    let other = SigningKey::generate(Alg::Es256, 16).unwrap();
    setup
        .op
        .jwks(move |keys| published(keys, std::slice::from_ref(&other), 1));
    let own = setup.op.signing_keys().all()[0].kid.clone();
    setup.op.next_id_token(move |token| {
        token.sign_with(&foreign);
        token.head("kid", own);
    });
    assert_eq!(word(setup.sign_in().await), "id_token_signature");
}

#[tokio::test]
async fn a_new_key_under_an_old_kid_is_found() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup.op.signing_keys().replace_under_kid().unwrap();
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn a_removed_key_stops_counting_when_its_time_is_over() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let old = setup.op.signing_keys().all()[0].clone();
    setup.op.signing_keys().rotate().unwrap();
    setup.later(HOUR);
    setup.op.next_id_token(move |token| token.sign_with(&old));
    assert_eq!(word(setup.sign_in().await), "id_token_key");
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
    setup.sign_in().await.unwrap();
}

#[tokio::test]
async fn keys_keep_as_long_as_the_provider_says_within_bounds() {
    for (cache_control, fresh, stale) in [
        (
            "max-age=600",
            Duration::from_secs(599),
            Duration::from_secs(2),
        ),
        (
            "max-age=1",
            Duration::from_secs(299),
            Duration::from_secs(2),
        ),
        ("no-store", Duration::from_secs(299), Duration::from_secs(2)),
        (
            "public, max-age=99999999",
            Duration::from_secs(24 * 3600 - 1),
            Duration::from_secs(2),
        ),
    ] {
        let setup = Setup::new().await;
        setup.op.replies(Endpoint::Jwks, move |reply| {
            *reply = reply.clone().header("cache-control", cache_control);
        });
        setup.sign_in_honestly().await;
        setup.later(fresh);
        setup.sign_in().await.unwrap();
        assert_eq!(setup.hits(Endpoint::Jwks), 0, "{cache_control}");
        setup.later(stale);
        setup.sign_in().await.unwrap();
        assert_eq!(setup.hits(Endpoint::Jwks), 1, "{cache_control}");
    }
}

#[tokio::test]
async fn known_keys_outlive_an_outage_of_a_day_and_no_longer() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup.op.answer(
        Endpoint::Jwks,
        Reply::new(StatusCode::INTERNAL_SERVER_ERROR),
    );
    setup.later(20 * HOUR);
    setup.sign_in().await.unwrap();
    setup.later(4 * HOUR);
    setup.op.forget_requests();
    assert_eq!(setup.sign_in().await.err(), Some(IdpError::Unavailable));
    assert_eq!(setup.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn an_unknown_key_during_an_outage_leaves_the_outcome_open() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup.op.signing_keys().rotate().unwrap();
    setup.op.answer(
        Endpoint::Jwks,
        Reply::new(StatusCode::INTERNAL_SERVER_ERROR),
    );
    assert_eq!(setup.sign_in().await.err(), Some(IdpError::OutcomeUnknown));
    assert_eq!(setup.hits(Endpoint::Token), 1);
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn only_configured_algorithms_count_where_some_are_configured() {
    let setup = Setup::with(|config| config.id_token.algorithms = vec!["ES256".into()]).await;
    setup
        .op
        .signing_keys()
        .generate(&[Alg::Es256, Alg::Rs256])
        .unwrap();
    setup.sign_in_honestly().await;
    let other = setup.op.signing_keys().all()[1].clone();
    setup.op.next_id_token(move |token| token.sign_with(&other));
    assert_eq!(word(setup.sign_in().await), "id_token_alg");
}

#[tokio::test]
async fn rs256_is_meant_where_no_algorithm_is_advertised() {
    let setup = Setup::new().await;
    setup.op.metadata(|metadata| {
        metadata["id_token_signing_alg_values_supported"] = json!(null);
    });
    setup.sign_in().await.unwrap();
    let setup = Setup::new().await;
    setup.op.metadata(|metadata| {
        metadata["id_token_signing_alg_values_supported"] = json!(["none", "HS256"]);
    });
    assert_eq!(word(setup.sign_in().await), "id_token_algorithms");
}

#[tokio::test]
async fn found_b1_a_member_of_a_key_that_is_null_is_absent() {
    let setup = Setup::new().await;
    setup.op.jwks(|set| {
        for name in ["alg", "use", "key_ops", "x5c", "d", "p"] {
            set["keys"][0][name] = json!(null);
        }
    });
    setup.sign_in_honestly().await;
}
