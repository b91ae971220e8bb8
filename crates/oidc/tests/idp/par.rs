//! Pushed authorization requests (RFC 9126).

use http::StatusCode;
use hubkey_domain::provider::{AssertionKey, ClientAuthentication, ParMode, ProviderConfig};
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Alg, Client, Endpoint, Pushed, SigningKey},
};
use hubkey_oidc::{IdpError, OAuthError};
use hubkey_protocol::{
    provider_rules::ProviderRule,
    secret::{ClientKey, ClientSecret, Secret},
};
use serde_json::json;
use url::Url;

use crate::support::{Setup, Transaction, word};

async fn setup(mode: Pushed, change: impl FnOnce(&mut ProviderConfig)) -> Setup {
    let setup = Setup::with(change).await;
    setup.op.capabilities().take_pushed_requests(mode);
    setup
}

fn reference(status: StatusCode, request_uri: &str, expires_in: i64) -> Reply {
    Reply::json(&json!({ "request_uri": request_uri, "expires_in": expires_in }))
        .with_status(status)
}

#[tokio::test]
async fn security_p18_what_is_pushed_stays_out_of_the_browser() {
    for mode in [Pushed::Offered, Pushed::Required] {
        let mut setup = setup(mode, |config| {
            let hint = ("login_hint".to_owned(), "alice".to_owned());
            config.extra_authorization_parameters.extend([hint]);
        })
        .await;
        setup.audience = Some("https://api.example.org".into());
        let transaction = Transaction::new();
        let url = Url::parse(&setup.url(&transaction).await.unwrap()).unwrap();
        let names: Vec<_> = url
            .query_pairs()
            .map(|(name, _)| name.into_owned())
            .collect();
        assert_eq!(names, ["client_id", "request_uri"]);
        let pushed = &setup.op.requests(Endpoint::PushedAuthorization)[0];
        for (name, value) in [
            ("state", transaction.state.expose()),
            ("login_hint", "alice"),
            ("audience", "https://api.example.org"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(pushed.form_value(name).as_deref(), Some(value), "{name}");
        }
        setup.sign_in().await.unwrap();
    }
}

#[tokio::test]
async fn security_p18_each_authorization_pushes_anew_and_a_reference_is_good_once() {
    let setup = setup(Pushed::Offered, |_| ()).await;
    let url = setup.url(&Transaction::new()).await.unwrap();
    assert_ne!(setup.url(&Transaction::new()).await.unwrap(), url);
    setup.op.authorize(&url).await.unwrap();
    assert!(setup.op.authorize(&url).await.is_err());
}

#[tokio::test]
async fn security_p18_refusals_are_told_apart() {
    let setup = setup(Pushed::Offered, |_| ()).await;
    let refuse = |status, error| Reply::oauth_error(status, error);
    for (reply, expected) in [
        (
            refuse(StatusCode::BAD_REQUEST, "invalid_scope"),
            IdpError::Refused(OAuthError::NotOffered),
        ),
        (
            refuse(StatusCode::UNAUTHORIZED, "invalid_client"),
            IdpError::Refused(OAuthError::Misconfigured),
        ),
        (
            Reply::html("<p>no").with_status(StatusCode::BAD_REQUEST),
            IdpError::RuleBroken(ProviderRule::ParErrorForm),
        ),
        (
            Reply::new(StatusCode::TOO_MANY_REQUESTS),
            IdpError::Unavailable,
        ),
        (Reply::new(StatusCode::BAD_GATEWAY), IdpError::Unavailable),
    ] {
        setup.op.answer_next(Endpoint::PushedAuthorization, reply);
        assert_eq!(setup.begin(&Transaction::new()).await.err(), Some(expected));
    }
    setup.op.set_up(false);
    let down = setup.begin(&Transaction::new()).await.err();
    assert_eq!(down, Some(IdpError::Unavailable));
}

#[tokio::test]
async fn security_p18_a_redirect_or_a_reference_of_no_use_is_refused() {
    let setup = setup(Pushed::Offered, |_| ()).await;
    let good = "urn:ietf:params:oauth:request_uri:x";
    let created = |text: &str, lives| reference(StatusCode::CREATED, text, lives);
    let elsewhere = setup.op.url_at("localhost");
    for (reply, expected) in [
        (
            Reply::redirect(StatusCode::TEMPORARY_REDIRECT, &elsewhere),
            "par_redirected",
        ),
        (created(good, 0), "par_expires_in"),
        (created(good, -1), "par_expires_in"),
        (created("", 60), "par_request_uri"),
        (created("urn:x y", 60), "par_request_uri"),
        (
            created(&format!("urn:{}", "x".repeat(2000)), 60),
            "par_request_uri",
        ),
        (
            Reply::html("<p>hello").with_status(StatusCode::CREATED),
            "par_content_type",
        ),
    ] {
        setup.op.answer_next(Endpoint::PushedAuthorization, reply);
        assert_eq!(word(setup.begin(&Transaction::new()).await), expected);
    }
    assert_eq!(setup.hits(Endpoint::Other), 0);
}

#[tokio::test]
async fn security_p18b_hubkey_proves_itself_as_at_the_token_endpoint() {
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let assertion = AssertionKey {
        pem: ClientKey::new(key.private_pem().unwrap()),
        id: None,
        algorithm: None,
        published_with: None,
    };
    let secret = || ClientSecret::new("secret");
    for ours in [
        ClientAuthentication::Basic(secret()),
        ClientAuthentication::Post(secret()),
        ClientAuthentication::PrivateKey(assertion),
    ] {
        let setup = setup(Pushed::Required, |config| {
            config.token_endpoint_auth_method = ours.clone();
        })
        .await;
        setup.op.register(match ours {
            ClientAuthentication::Basic(_) => Client::basic("hubkey", "secret"),
            ClientAuthentication::Post(_) => Client::post("hubkey", "secret"),
            _ => Client::private_key("hubkey", &key, &setup.op.issuer()),
        });
        setup.sign_in().await.unwrap();
        let pushed = &setup.op.requests(Endpoint::PushedAuthorization)[0];
        assert_eq!(pushed.form_value("client_id").as_deref(), Some("hubkey"));
    }
}

#[tokio::test]
async fn security_p18b_the_setting_decides_and_a_provider_that_does_not_fit_is_not_used() {
    for (mode, pushing, pushes) in [
        (Pushed::Unknown, ParMode::Auto, Some(0)),
        (Pushed::Offered, ParMode::Never, Some(0)),
        (Pushed::Offered, ParMode::Always, Some(1)),
        (Pushed::Unknown, ParMode::Always, None),
        (Pushed::Required, ParMode::Never, None),
    ] {
        let setup = setup(mode, |config| config.par_mode = pushing).await;
        if let Some(pushes) = pushes {
            setup.sign_in().await.unwrap();
            assert_eq!(setup.hits(Endpoint::PushedAuthorization), pushes);
        } else {
            let word = word(setup.begin(&Transaction::new()).await);
            assert_eq!(word, "pushed_authorization_requests");
            assert_eq!(setup.hits(Endpoint::Authorize), 0);
        }
    }
}
