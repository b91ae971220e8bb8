//! Providers without OpenID Connect: a provider that behaves as GitHub does.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use hubkey_domain::{
    clock::{Clock, TestClock, Timestamp},
    provider::{ClientAuthentication, Endpoints, OAuth2Endpoints, ProviderConfig},
};
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Client, ClientAuth, Endpoint, HostileProvider},
};
use hubkey_oidc::{
    AuthorizationRequest, Granted, IdentityProvider, IdpError, OAuthError, Redemption,
    RefreshError, Refreshable,
};
use hubkey_protocol::secret::{AuthorizationCode, ClientSecret, Secret};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::support::{CALLBACK, Transaction, chance, config, scopes, word};

pub(crate) struct Plain {
    pub(crate) op: HostileProvider,
    client: Arc<dyn IdentityProvider>,
    clock: Arc<TestClock>,
}

fn plain_config(op: &HostileProvider) -> ProviderConfig {
    let url = |path: &str| Url::parse(&format!("{}{path}", op.issuer())).unwrap();
    let mut config = config(&op.issuer());
    config.token_endpoint_auth_method = ClientAuthentication::Post(ClientSecret::new("secret"));
    config.endpoints = Endpoints::OAuth2(OAuth2Endpoints {
        issuer: op.issuer(),
        authorization: url("/authorize"),
        token: url("/token"),
        userinfo: url("/userinfo"),
        revocation: Some(url("/revoke")),
        subject_field: "id".to_owned(),
    });
    config
}

impl Plain {
    /// Numeric user id, scopes with commas, no expiry and no refresh token.
    pub(crate) async fn new() -> Self {
        let op = HostileProvider::start().await.unwrap();
        let now = jsonwebtoken::get_current_timestamp();
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(now * 1000)));
        op.register(Client {
            secret: "secret".into(),
            auth: ClientAuth::Post,
            redirect_uri: Some(CALLBACK.into()),
            ..Client::public("hubkey")
        });
        op.token_responses(|answer| {
            if answer.get("access_token").is_some() {
                answer["scope"] = json!("repo,read:user");
                let answer = answer.as_object_mut().unwrap();
                answer.remove("expires_in");
                answer.remove("refresh_token");
            }
        });
        op.replies(Endpoint::UserInfo, |reply| {
            reply.edit_json(|user| {
                *user = json!({ "id": 583_231, "login": "octo", "name": null, "email": null });
            });
        });
        let client = hubkey_oidc::open(
            plain_config(&op),
            Arc::clone(&clock) as Arc<dyn Clock>,
            chance(),
        );
        Self {
            client: client.unwrap(),
            op,
            clock,
        }
    }

    async fn begin(&self, transaction: &Transaction) -> String {
        let request = AuthorizationRequest {
            login_hint: None,
            scopes: &scopes("repo read:user"),
            audience: None,
            resource: None,
            redirect_uri: CALLBACK,
            state: &transaction.state,
            oidc_nonce: &transaction.oidc_nonce,
            verifier: &transaction.verifier,
        };
        let authorization = self.client.authorize(&request).await.unwrap();
        assert_eq!(authorization.issuer, self.op.issuer());
        authorization.url.expose().to_owned()
    }

    pub(crate) async fn sign_in(&self) -> Result<Granted, IdpError> {
        let transaction = Transaction::new();
        let url = self.begin(&transaction).await;
        let back = self.op.authorize(&url).await.unwrap();
        self.client
            .redeem(Redemption {
                code: AuthorizationCode::new(back.code.unwrap()),
                verifier: transaction.verifier,
                oidc_nonce: transaction.oidc_nonce,
                redirect_uri: CALLBACK.into(),
                issuer: self.op.issuer(),
                scopes: scopes("repo"),
                resource: None,
                audience: None,
            })
            .await
    }
}

type Answered = fn(&mut Value);

#[tokio::test]
async fn found_b5_an_answer_without_a_type_is_a_bearer_token_for_this_kind() {
    let ways: [Answered; 4] = [
        |answer| {
            answer.as_object_mut().unwrap().remove("token_type");
        },
        |answer| answer["token_type"] = Value::Null,
        |answer| answer["token_type"] = json!("bearer"),
        |answer| answer["scope"] = json!(["repo", "read:user"]),
    ];
    for way in ways {
        let plain = Plain::new().await;
        plain.op.token_responses(way);
        let granted = plain.sign_in().await.unwrap();
        assert_eq!(granted.token_type, "Bearer");
        assert_eq!(granted.tokens.scopes, scopes("repo read:user"));
    }
    let other: [Answered; 4] = [
        |answer| answer["token_type"] = json!("mac"),
        |answer| answer["token_type"] = json!("DPoP"),
        |answer| answer["token_type"] = json!(""),
        |answer| answer["token_type"] = json!(1),
    ];
    for way in other {
        let plain = Plain::new().await;
        plain.op.token_responses(way);
        assert_eq!(word(plain.sign_in().await), "token_type");
    }
}

/// As GitHub answers where nobody asks for JSON, and some providers always.
fn form_encoded(reply: &mut Reply) {
    let members: Value = serde_json::from_slice(&reply.body).unwrap();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members.as_object().unwrap() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        form.append_pair(name, &text);
    }
    *reply = Reply::new(StatusCode::OK)
        .typed("application/x-www-form-urlencoded; charset=utf-8")
        .with_body(form.finish());
}

#[tokio::test]
async fn a_numeric_user_scopes_with_commas_and_no_expiry_are_understood() {
    let plain = Plain::new().await;
    let granted = plain.sign_in().await.unwrap();
    assert_eq!(granted.issuer, plain.op.issuer());
    assert_eq!(granted.account.sub, "583231");
    assert_eq!(granted.account.name.as_deref(), Some("octo"));
    assert_eq!(granted.claims["login"], "octo");
    assert_eq!(granted.tokens.scopes, scopes("repo read:user"));
    assert_eq!(granted.tokens.expires_at, None);
    assert!(granted.tokens.refresh_token.is_none());
    assert_eq!(granted.tokens.obtained_at, plain.clock.now());
    let asked = &plain.op.requests(Endpoint::Authorize)[0];
    assert_eq!(
        asked.query_value("scope").as_deref(),
        Some("read:user repo")
    );
    assert_eq!(asked.query_value("nonce"), None);
    assert_eq!(
        asked.query_value("code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(
        plain.op.hits(Endpoint::Discovery) + plain.op.hits(Endpoint::Jwks),
        0
    );
    let userinfo = &plain.op.requests(Endpoint::UserInfo)[0];
    assert!(userinfo.query.is_empty(), "a token in a URL");
}

#[tokio::test]
async fn form_encoded_answers_are_understood() {
    let plain = Plain::new().await;
    plain.op.replies(Endpoint::Token, form_encoded);
    let granted = plain.sign_in().await.unwrap();
    assert_eq!(granted.tokens.scopes, scopes("repo read:user"));
    plain.op.next_reply(Endpoint::Token, |reply| {
        *reply = Reply::new(StatusCode::OK)
            .typed("application/x-www-form-urlencoded")
            .with_body("access_token=a&access_token=b&token_type=bearer");
    });
    assert_eq!(word(plain.sign_in().await), "token_form");
}

#[tokio::test]
async fn errors_with_status_200_are_errors() {
    let plain = Plain::new().await;
    let ok = |body: &str, kind: &'static str| {
        Reply::new(StatusCode::OK)
            .typed(kind)
            .with_body(body.to_owned())
    };
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    for (reply, expected) in [
        (
            ok(r#"{"error":"bad_verification_code","error_uri":"x"}"#, json),
            OAuthError::InvalidGrant,
        ),
        (
            ok("error=incorrect_client_credentials", form),
            OAuthError::Misconfigured,
        ),
        (
            ok("error=redirect_uri_mismatch&error_description=canary", form),
            OAuthError::Misconfigured,
        ),
        (ok("error=x", form), OAuthError::Other),
    ] {
        plain.op.answer_next(Endpoint::Token, reply);
        let refused = plain.sign_in().await.err();
        assert_eq!(refused, Some(IdpError::Refused(expected)));
    }
    assert_eq!(plain.op.hits(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn security_p8_what_is_no_answer_names_nobody() {
    let plain = Plain::new().await;
    let user = |body: Value| Reply::json(&body);
    for (reply, expected) in [
        (user(json!({ "login": "octo" })), "userinfo_subject"),
        (user(json!({ "id": null })), "userinfo_subject"),
        (user(json!({ "id": 1.5 })), "userinfo_subject"),
        (user(json!([])), "userinfo_json"),
        (Reply::html("<p>hello"), "userinfo_content_type"),
        (
            Reply::redirect(StatusCode::FOUND, &plain.op.issuer()),
            "userinfo_redirected",
        ),
        (Reply::new(StatusCode::FORBIDDEN), "userinfo_refused"),
    ] {
        plain.op.answer_next(Endpoint::UserInfo, reply);
        assert_eq!(word(plain.sign_in().await), expected);
    }
    let broken = Reply::new(StatusCode::BAD_GATEWAY);
    plain.op.answer_next(Endpoint::UserInfo, broken);
    assert_eq!(plain.sign_in().await.err(), Some(IdpError::OutcomeUnknown));
}

#[tokio::test]
async fn security_p12_an_issuer_in_the_response_is_compared_all_the_same() {
    let plain = Plain::new().await;
    let issuer = plain.op.issuer();
    let check =
        async |given: Option<&str>| plain.client.check_response_issuer(&issuer, given).await;
    check(None).await.unwrap();
    check(Some(&issuer)).await.unwrap();
    assert_eq!(
        word(check(Some("https://evil.example")).await),
        "response_iss"
    );
}

#[tokio::test]
async fn a_provider_with_refresh_tokens_is_refreshed_and_revoked() {
    let plain = Plain::new().await;
    plain.op.be_honest();
    plain.op.replies(Endpoint::UserInfo, |reply| {
        reply.edit_json(|user| user["id"] = json!(7));
    });
    plain.op.replies(Endpoint::Token, form_encoded);
    let granted = plain.sign_in().await.unwrap();
    assert!(granted.tokens.expires_at.is_some());
    let refresh = async |token| {
        let refreshable = Refreshable {
            refresh_token: token,
            send_before: Instant::now() + Duration::from_secs(10),
            issuer: &granted.issuer,
            subject: &granted.account.sub,
            proof: &granted.proof,
            audience: None,
            resource: None,
            scopes: None,
        };
        plain.client.refresh(refreshable).await
    };
    let old = granted.tokens.refresh_token.as_ref().unwrap();
    let refreshed = refresh(old).await.unwrap();
    let reused = refresh(old).await;
    assert!(matches!(reused, Err(RefreshError::Revoked)), "{reused:?}");
    let tokens = (
        &refreshed.tokens.access_token,
        refreshed.tokens.refresh_token.as_ref(),
    );
    plain.client.revoke(tokens.0, tokens.1).await;
    assert_eq!(plain.op.revoked().len(), 2);
}
