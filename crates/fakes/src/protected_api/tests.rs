use http::StatusCode;
use serde_json::{Value, json};

use super::{ProtectedApi, Settings};
use crate::hostile_provider::{Alg, Draft, Endpoint, HostileProvider, SigningKey};

struct Scene {
    provider: HostileProvider,
    api: ProtectedApi,
    http: reqwest::Client,
}

impl Scene {
    async fn new() -> Self {
        let provider = HostileProvider::start().await.unwrap();
        let api = ProtectedApi::start(Settings {
            issuer: provider.issuer(),
            audience: "lab-api".into(),
            scope: "read".into(),
            jwks_uri: None,
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            provider,
            api: api.await.unwrap(),
            http,
        }
    }

    /// An access token as the provider would issue it, after one change.
    fn token(&self, alter: impl FnOnce(&mut Draft) + Send + 'static) -> String {
        self.provider.next_id_token(|token| {
            token.claim("aud", json!(["other", "lab-api"]));
            token.claim("scope", "openid read");
            alter(token);
        });
        self.provider.signing_keys().mint_id_token("hubkey", "n")
    }

    async fn ask(&self, token: &str) -> (StatusCode, String, Value) {
        let request = self.http.get(format!("{}/projects", self.api.url()));
        let request = if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        };
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").cloned();
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        (
            status,
            challenge.unwrap_or_default(),
            response.json().await.unwrap_or_default(),
        )
    }
}

#[tokio::test]
async fn a_good_token_is_answered_with_the_caller_and_three_projects() {
    let scene = Scene::new().await;
    let (status, _, answer) = scene.ask(&scene.token(|_| {})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["caller"], "op-alice");
    assert_eq!(answer["projects"].as_array().unwrap().len(), 3);
    scene.ask(&scene.token(|_| {})).await;
    assert_eq!(scene.provider.hits(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn a_wrong_token_is_refused_as_rfc_6750_says() {
    let scene = Scene::new().await;
    let (status, challenge, _) = scene.ask("").await;
    assert_eq!(
        (status, challenge.as_str()),
        (StatusCode::UNAUTHORIZED, r#"Bearer realm="projects""#)
    );
    let forged = SigningKey::generate(Alg::Es256, 9).unwrap();
    let tokens = [
        ("nonsense", "x.y.z".to_owned()),
        ("audience", scene.token(|token| token.claim("aud", "other"))),
        (
            "issuer",
            scene.token(|token| token.claim("iss", "https://evil.example")),
        ),
        ("expired", scene.token(|token| token.shift("exp", -3600))),
        (
            "not yet",
            scene.token(|token| token.claim("nbf", 99_999_999_999_u64)),
        ),
        ("signature", scene.token(Draft::break_signature)),
        ("none", scene.token(Draft::unsigned)),
        ("hmac", scene.token(Draft::sign_hs256_with_the_public_key)),
        ("key", scene.token(move |token| token.sign_with(&forged))),
        (
            "other algorithm of the key",
            scene.token(|token| token.sign_as(Alg::Ps256)),
        ),
    ];
    for (name, token) in tokens {
        let (status, challenge, _) = scene.ask(&token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{name}: {challenge}"
        );
    }
}

#[tokio::test]
async fn a_token_for_other_scopes_is_forbidden() {
    let scene = Scene::new().await;
    let token = scene.token(|token| token.claim("scope", "openid reader"));
    let (status, challenge, _) = scene.ask(&token).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        challenge.contains(r#"error="insufficient_scope", scope="read""#),
        "{challenge}"
    );
}

#[tokio::test]
async fn invented_key_ids_cost_one_fetch_and_a_silent_issuer_gives_503() {
    let scene = Scene::new().await;
    for number in 0..20 {
        let token = scene.token(move |token| token.head("kid", format!("invented-{number}")));
        assert_eq!(scene.ask(&token).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(scene.provider.hits(Endpoint::Jwks), 1);

    let scene = Scene::new().await;
    scene.provider.set_up(false);
    assert_eq!(
        scene.ask(&scene.token(|_| {})).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let health = scene
        .http
        .get(format!("{}/healthz", scene.api.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), StatusCode::OK);
}
