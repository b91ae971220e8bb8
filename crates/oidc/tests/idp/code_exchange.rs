//! The token endpoint.

use std::time::Duration;

use http::StatusCode;
use hubkey_domain::{
    clock::Clock,
    provider::{ClientAuthentication, Endpoints},
};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::{Account, Client, ClientAuth, Endpoint, TokenKind},
};
use hubkey_oidc::{IdentityProvider, IdpError, OAuthError};
use hubkey_protocol::{
    provider_rules::ProviderRule,
    secret::{AccessToken, ClientSecret, RefreshToken, Secret},
};
use serde_json::{Value, json};
use url::Url;

use crate::support::{CALLBACK, Setup, Transaction, scopes, word};

const ODD_SECRET: &str = ":+/% ü&=";

fn client(id: &str, auth: ClientAuth) -> Client {
    Client {
        id: id.into(),
        secret: ODD_SECRET.into(),
        auth,
        redirect_uri: Some(CALLBACK.into()),
        ..Client::public(id)
    }
}

#[tokio::test]
async fn first_sign_in_at_an_honest_provider_succeeds() {
    let setup = Setup::new().await;
    let sent = setup.clock.now();
    let granted = setup.sign_in().await.unwrap();
    assert_eq!(granted.issuer, setup.op.issuer());
    assert_eq!(granted.account.sub, "op-alice");
    assert_eq!(granted.account.name.as_deref(), Some("Person op-alice"));
    assert_eq!(
        granted.account.email.as_deref(),
        Some("op-alice@op.example")
    );
    assert_eq!(granted.claims["preferred_username"], "op-alice");
    assert_eq!(granted.token_type, "Bearer");
    assert_eq!(granted.tokens.scopes, scopes("openid read"));
    assert_eq!(
        granted.tokens.expires_at,
        Some(sent.after(Duration::from_mins(5)))
    );
    assert!(granted.tokens.refresh_token.is_some());
    assert_eq!(setup.hits(Endpoint::Discovery), 1);
    assert_eq!(setup.hits(Endpoint::Jwks), 1);
    assert_eq!(setup.hits(Endpoint::Token), 1);
    assert_eq!(setup.hits(Endpoint::UserInfo), 1);
}

#[tokio::test]
async fn security_p20_the_bare_code_flow_succeeds_without_userinfo() {
    let setup = Setup::with(|config| config.id_token.fetch_userinfo = false).await;
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p1_each_way_of_client_authentication_is_accepted_by_a_strict_provider() {
    let secret = || ClientSecret::new(ODD_SECRET);
    for (id, auth, ours) in [
        (
            "hub key/ü",
            ClientAuth::Basic,
            ClientAuthentication::Basic(secret()),
        ),
        (
            "hub key/ü",
            ClientAuth::Post,
            ClientAuthentication::Post(secret()),
        ),
        ("hub key/ü", ClientAuth::None, ClientAuthentication::None),
    ] {
        let setup = Setup::with(|config| {
            config.client_id = id.into();
            config.token_endpoint_auth_method = ours.clone();
        })
        .await;
        setup.op.register(client(id, auth));
        setup
            .sign_in()
            .await
            .unwrap_or_else(|error| panic!("{auth:?}: {error}"));
        let request = &setup.op.requests(Endpoint::Token)[0];
        assert!(request.query.is_empty());
        let in_form = request.form_value("client_secret").is_some();
        assert_eq!(in_form, auth == ClientAuth::Post);
        assert_eq!(request.authorization().is_some(), auth == ClientAuth::Basic);
    }
}

#[tokio::test]
async fn security_p1_a_wrong_secret_is_a_misconfiguration() {
    let setup = Setup::with(|config| {
        config.token_endpoint_auth_method = ClientAuthentication::Basic(ClientSecret::new("wrong"));
    })
    .await;
    setup.op.register(client("hubkey", ClientAuth::Basic));
    let refused = setup.sign_in().await.err();
    assert_eq!(refused, Some(IdpError::Refused(OAuthError::Misconfigured)));
    assert_eq!(setup.hits(Endpoint::Token), 1);
}

#[tokio::test]
async fn security_p3_the_redirect_uri_is_the_same_at_both_endpoints() {
    let setup = Setup::new().await;
    setup.op.register(client("hubkey", ClientAuth::None));
    setup.sign_in().await.unwrap();
    let authorize = &setup.op.requests(Endpoint::Authorize)[0];
    let token = &setup.op.requests(Endpoint::Token)[0];
    assert_eq!(
        authorize.query_value("redirect_uri").as_deref(),
        Some(CALLBACK)
    );
    assert_eq!(token.form_value("redirect_uri").as_deref(), Some(CALLBACK));
}

#[tokio::test]
async fn security_p4_what_was_granted_is_told_and_silence_means_as_requested() {
    let setup = Setup::new().await;
    let granted = async |scope: Value| {
        setup.op.next_reply(Endpoint::Token, move |reply| {
            reply.edit_json(|answer| answer["scope"] = scope);
        });
        setup.sign_in().await.map(|granted| granted.tokens.scopes)
    };
    assert_eq!(granted(json!("openid")).await.unwrap(), scopes("openid"));
    assert_eq!(
        granted(json!("openid read write")).await.unwrap(),
        scopes("openid read write")
    );
    for silent in [json!(null), json!(""), json!(" ")] {
        assert_eq!(granted(silent).await.unwrap(), scopes("openid read"));
    }
    for odd in [json!(1), json!(["read"]), json!("re\"ad")] {
        assert_eq!(word(granted(odd).await), "scope");
    }
}

#[tokio::test]
async fn security_p7_token_types_and_lifetimes() {
    let setup = Setup::with(|config| config.id_token.fetch_userinfo = false).await;
    let answer = async |name: &'static str, value: Value| {
        setup.op.next_reply(Endpoint::Token, move |reply| {
            reply.edit_json(|answer| answer[name] = value);
        });
        setup.sign_in().await
    };
    for right in ["bearer", "BEARER", "Bearer"] {
        assert!(answer("token_type", json!(right)).await.is_ok(), "{right}");
    }
    for wrong in [
        json!("DPoP"),
        json!("mac"),
        json!("N_A"),
        json!(""),
        json!(null),
        json!(1),
    ] {
        assert_eq!(word(answer("token_type", wrong).await), "token_type");
    }
    let sent = setup.clock.now();
    let hour = Some(sent.after(Duration::from_hours(1)));
    for (value, expected) in [
        (json!(3600), hour),
        (json!("3600"), hour),
        (json!(0), None),
        (json!(-1), None),
        (json!(1e300), None),
        (json!("NaN"), None),
        (json!(null), None),
    ] {
        assert_eq!(
            answer("expires_in", value).await.unwrap().tokens.expires_at,
            expected
        );
    }
    for wrong in [
        json!(null),
        json!(""),
        json!(1),
        json!("a\r\nb"),
        json!("a b"),
    ] {
        assert_eq!(word(answer("access_token", wrong).await), "access_token");
    }
    assert!(answer("unknown", json!({"a": [1]})).await.is_ok());
    assert_eq!(
        word(answer("id_token", json!(null)).await),
        "id_token_missing"
    );
}

#[tokio::test]
async fn security_r7_odd_refresh_tokens() {
    let setup = Setup::new().await;
    let answer = async |value: Value| {
        setup.op.next_reply(Endpoint::Token, move |reply| {
            reply.edit_json(|answer| answer["refresh_token"] = value);
        });
        setup.sign_in().await
    };
    assert!(
        answer(json!("r-1"))
            .await
            .unwrap()
            .tokens
            .refresh_token
            .is_some()
    );
    for silent in [json!(null), json!("")] {
        assert!(answer(silent).await.unwrap().tokens.refresh_token.is_none());
    }
    assert_eq!(word(answer(json!(7)).await), "refresh_token");
}

/// Refusals, and what becomes of each.
fn refusals() -> Vec<(Reply, IdpError)> {
    let error = |status, code| Reply::oauth_error(status, code);
    let bad = StatusCode::BAD_REQUEST;
    let refused = IdpError::Refused;
    let no_code = IdpError::RuleBroken(ProviderRule::TokenErrorForm);
    let numeric = Reply::json(&json!({"error": 1})).with_status(bad);
    vec![
        (
            error(bad, "invalid_grant"),
            refused(OAuthError::InvalidGrant),
        ),
        (
            error(StatusCode::UNAUTHORIZED, "invalid_client"),
            refused(OAuthError::Misconfigured),
        ),
        (
            error(bad, "invalid_target"),
            refused(OAuthError::NotOffered),
        ),
        (
            error(bad, "<script>canary</script>"),
            refused(OAuthError::Other),
        ),
        (
            error(StatusCode::OK, "invalid_grant"),
            refused(OAuthError::InvalidGrant),
        ),
        (Reply::html("canary").with_status(bad), no_code),
        (
            error(bad, "x").typed("text/html"),
            refused(OAuthError::Other),
        ),
        (numeric, refused(OAuthError::Other)),
        (
            Reply::new(StatusCode::SERVICE_UNAVAILABLE),
            IdpError::Unavailable,
        ),
        (
            Reply::new(StatusCode::TOO_MANY_REQUESTS),
            IdpError::Unavailable,
        ),
        (
            Reply::new(StatusCode::INTERNAL_SERVER_ERROR),
            IdpError::OutcomeUnknown,
        ),
        (
            Reply::new(StatusCode::BAD_GATEWAY),
            IdpError::OutcomeUnknown,
        ),
        (Reply::new(StatusCode::NO_CONTENT), IdpError::OutcomeUnknown),
    ]
}

#[tokio::test]
async fn security_p8_errors_are_known_by_their_code_only() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    for (reply, expected) in refusals() {
        setup.op.forget_requests();
        setup.op.answer_next(Endpoint::Token, reply);
        let error = setup.sign_in().await.unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(setup.hits(Endpoint::Token), 1);
        assert_eq!(setup.hits(Endpoint::UserInfo), 0);
    }
}

#[tokio::test]
async fn security_r3_an_answer_that_is_lost_is_not_asked_for_again() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    for pace in [Pace::CutAfter(20), Pace::CutAfter(0), Pace::Never] {
        setup.op.forget_requests();
        setup
            .op
            .next_reply(Endpoint::Token, move |reply| reply.pace = pace);
        let lost = setup.sign_in().await.err();
        assert_eq!(lost, Some(IdpError::OutcomeUnknown), "{pace:?}");
        assert_eq!(setup.hits(Endpoint::Token), 1, "{pace:?}");
        assert_eq!(setup.hits(Endpoint::UserInfo), 0);
    }
}

#[tokio::test]
async fn security_r3_a_code_that_never_left_is_known_not_to_be_spent() {
    let op = hubkey_fakes::hostile_provider::HostileProvider::start()
        .await
        .unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/token", closed.local_addr().unwrap());
    drop(closed);
    let url = |path: &str| Url::parse(&format!("{}{path}", op.issuer())).unwrap();
    let mut config = crate::support::config(&op.issuer());
    config.endpoints = Endpoints::Explicit {
        issuer: op.issuer(),
        authorization: url("/authorize"),
        token: Url::parse(&nobody).unwrap(),
        jwks: url("/jwks"),
        userinfo: None,
        revocation: None,
    };
    let setup = Setup::of(op, config);
    let transaction = Transaction::new();
    let code = setup.authorize(&transaction).await.unwrap().code.unwrap();
    let redeemed = setup
        .client
        .redeem(setup.redemption(&code, transaction))
        .await;
    assert_eq!(redeemed.err(), Some(IdpError::Unavailable));
    assert_eq!(setup.hits(Endpoint::Discovery), 0);
}

#[tokio::test]
async fn explicit_endpoints_need_no_discovery() {
    let op = hubkey_fakes::hostile_provider::HostileProvider::start()
        .await
        .unwrap();
    let url = |path: &str| Url::parse(&format!("{}{path}", op.issuer())).unwrap();
    let mut config = crate::support::config(&op.issuer());
    config.endpoints = Endpoints::Explicit {
        issuer: op.issuer(),
        authorization: url("/authorize"),
        token: url("/token"),
        jwks: url("/jwks"),
        userinfo: Some(url("/userinfo")),
        revocation: None,
    };
    let setup = Setup::of(op, config);
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Discovery), 0);
    assert_eq!(setup.hits(Endpoint::UserInfo), 1);
}

#[tokio::test]
async fn security_p89_an_access_token_is_never_read() {
    let setup = Setup::new().await;
    setup.op.capabilities().use_jwt_access_tokens();
    setup.op.tokens(TokenKind::Access, |token| {
        token.claim("sub", "op-eve");
        token.claim("exp", 1);
        token.claim("scope", "admin");
        token.head("crit", json!(["x"]));
    });
    let sent = setup.clock.now();
    let granted = setup.sign_in().await.unwrap();
    assert!(granted.tokens.access_token.expose().starts_with("eyJ"));
    assert_eq!(granted.account.sub, "op-alice");
    assert_eq!(granted.tokens.scopes, scopes("openid read"));
    assert_eq!(
        granted.tokens.expires_at,
        Some(sent.after(Duration::from_mins(5)))
    );
}

#[tokio::test]
async fn resource_and_audience_go_along_to_both_endpoints() {
    let mut setup = Setup::new().await;
    setup.audience = Some("https://api.example".into());
    setup.resource = Some("https://lab.example/v1".into());
    setup.sign_in().await.unwrap();
    let authorize = &setup.op.requests(Endpoint::Authorize)[0];
    let token = &setup.op.requests(Endpoint::Token)[0];
    for (name, value) in [
        ("audience", "https://api.example"),
        ("resource", "https://lab.example/v1"),
    ] {
        assert_eq!(authorize.query_value(name).as_deref(), Some(value));
        assert_eq!(token.form_value(name).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn the_account_is_the_one_that_signed_in() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup
        .op
        .sign_in_as(Account::new("op-bob").claim("email_verified", false));
    let granted = setup.sign_in().await.unwrap();
    assert_eq!(granted.account.sub, "op-bob");
    assert_eq!(granted.account.email, None);
    assert!(!granted.claims.contains_key("email"));
}

#[tokio::test]
async fn revocation_sends_the_refresh_token_first_and_never_fails() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let (access, refresh) = (AccessToken::new("at"), RefreshToken::new("rt"));
    setup.client.revoke(&access, Some(&refresh)).await;
    assert_eq!(setup.op.revoked(), ["rt", "at"]);
    let request = &setup.op.requests(Endpoint::Revocation)[0];
    assert_eq!(
        request.form_value("token_type_hint").as_deref(),
        Some("refresh_token")
    );
    assert_eq!(request.form_value("client_id").as_deref(), Some("hubkey"));
    setup.op.set_up(false);
    setup.client.revoke(&access, None).await;
}
