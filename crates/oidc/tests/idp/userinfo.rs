//! The userinfo endpoint.

use http::StatusCode;
use hubkey_fakes::fake_http::Reply;
use hubkey_fakes::hostile_provider::{Alg, Endpoint, SigningKey, TokenKind};
use hubkey_oidc::{IdentityProvider, IdpError, UserinfoError};
use hubkey_protocol::secret::Secret;
use serde_json::json;

use crate::support::{Setup, word};

#[tokio::test]
async fn security_p44_userinfo_of_another_subject_is_refused() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    for sub in [json!("op-eve"), json!(null), json!(1), json!("op-alice ")] {
        setup.op.forget_requests();
        setup.op.next_reply(Endpoint::UserInfo, move |reply| {
            reply.edit_json(|answer| answer["sub"] = sub);
        });
        assert_eq!(word(setup.sign_in().await), "userinfo_sub");
        assert_eq!(setup.hits(Endpoint::UserInfo), 1);
    }
}

#[tokio::test]
async fn security_p44b_signed_userinfo_is_verified_as_a_token() {
    let setup = Setup::new().await;
    setup.op.capabilities().sign_userinfo();
    setup.sign_in_honestly().await;
    for (name, value) in [
        ("iss", json!("https://op.evil.example")),
        ("aud", json!("somebody-else")),
        ("exp", json!(1)),
    ] {
        let setup = Setup::new().await;
        setup.op.capabilities().sign_userinfo();
        setup.op.tokens(TokenKind::UserInfo, move |token| {
            token.claim(name, value.clone());
        });
        assert_eq!(word(setup.sign_in().await), "userinfo_jwt", "{name}");
    }
    let setup = Setup::new().await;
    setup.op.capabilities().sign_userinfo();
    setup
        .op
        .tokens(TokenKind::UserInfo, |token| token.claim("sub", "op-eve"));
    assert_eq!(word(setup.sign_in().await), "userinfo_sub");
    let other = SigningKey::generate(Alg::Rs256, 41).unwrap();
    let setup = Setup::new().await;
    setup.op.capabilities().sign_userinfo();
    setup
        .op
        .tokens(TokenKind::UserInfo, move |token| token.sign_with(&other));
    assert_eq!(word(setup.sign_in().await), "userinfo_jwt");
}

#[tokio::test]
async fn security_p9_access_tokens_travel_in_the_header_only() {
    let setup = Setup::new().await;
    let granted = setup.sign_in().await.unwrap();
    let requests = setup.op.requests(Endpoint::UserInfo);
    let [request] = requests.as_slice() else {
        panic!("one request, not {}", requests.len());
    };
    assert_eq!(
        request.token_of_scheme("Bearer"),
        Some(granted.tokens.access_token.expose())
    );
    assert!(request.query.is_empty() && request.body.is_empty());
    let token = granted.tokens.access_token.expose();
    setup
        .client
        .revoke(&granted.tokens.access_token, None)
        .await;
    let [revoked] = setup.op.requests(Endpoint::Revocation).try_into().unwrap();
    assert_eq!(revoked.form_value("token").as_deref(), Some(token));
    for endpoint in [
        Endpoint::Discovery,
        Endpoint::Jwks,
        Endpoint::Authorize,
        Endpoint::Token,
        Endpoint::Revocation,
    ] {
        for request in setup.op.requests(endpoint) {
            assert!(!request.query.contains(token), "{endpoint:?}");
            assert!(!request.path.contains(token), "{endpoint:?}");
        }
    }
}

#[tokio::test]
async fn what_the_id_token_leaves_out_comes_from_userinfo() {
    let setup = Setup::new().await;
    setup.op.id_tokens(|token| {
        for name in ["name", "preferred_username", "email", "email_verified"] {
            token.without(name);
        }
    });
    let granted = setup.sign_in().await.unwrap();
    assert_eq!(granted.account.name.as_deref(), Some("Person op-alice"));
    assert_eq!(granted.claims["preferred_username"], "op-alice");
    assert_eq!(granted.claims["email"], "op-alice@op.example");
}

#[tokio::test]
async fn userinfo_that_fails_leaves_no_grant() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    for (status, expected) in [
        (
            StatusCode::UNAUTHORIZED,
            IdpError::Userinfo(UserinfoError::TokenRefused),
        ),
        (StatusCode::BAD_GATEWAY, IdpError::OutcomeUnknown),
    ] {
        setup.op.answer_next(Endpoint::UserInfo, Reply::new(status));
        assert_eq!(setup.sign_in().await.err(), Some(expected));
    }
}

#[tokio::test]
async fn found_b1_userinfo_of_odd_types_says_what_it_says_in_text() {
    let setup = Setup::new().await;
    setup.op.id_tokens(|token| {
        for name in ["name", "preferred_username", "email", "email_verified"] {
            token.claim(name, json!(null));
        }
    });
    setup.op.replies(Endpoint::UserInfo, |reply| {
        reply.edit_json(|answer| {
            // As Amazon Cognito answers.
            answer["email_verified"] = json!("true");
            answer["name"] = json!({"given": "A"});
            answer["updated_at"] = json!("yesterday");
            answer["address"] = json!(["here"]);
        });
    });
    let granted = setup.sign_in().await.unwrap();
    assert_eq!(granted.account.name.as_deref(), Some("op-alice"));
    assert_eq!(granted.claims["email"], "op-alice@op.example");
}
