use std::time::Duration;

use http::StatusCode;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use url::Url;

use super::scenarios::{id_token, reply};
use super::{
    Account, Alg, Client, Endpoint, HostileProvider, Redirected, SigningKey, TokenKind, token,
};
use crate::fake_http::{Bystander, Reply, SilentListener};
use crate::pkce;

const CALLBACK: &str = "https://hubkey.example/callback/op";
const VERIFIER: &str = "a-verifier-of-exactly-forty-three-characters";

async fn provider() -> HostileProvider {
    HostileProvider::start().await.unwrap()
}

fn http() -> reqwest::Client {
    super::browser::client(&[]).unwrap()
}

fn authorize_url(provider: &HostileProvider, client_id: &str) -> Url {
    let mut url = Url::parse(&format!("{}/authorize", provider.issuer())).unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("response_type", "code")
        .append_pair("scope", "openid read")
        .append_pair("state", "abc")
        .append_pair("nonce", "n-1")
        .append_pair("code_challenge", &pkce::challenge(VERIFIER))
        .append_pair("code_challenge_method", "S256");
    url
}

async fn sign_in(provider: &HostileProvider) -> Redirected {
    provider
        .authorize(authorize_url(provider, "hubkey").as_str())
        .await
        .unwrap()
}

fn form(code: &str, verifier: &str) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "authorization_code".into()),
        ("code", code.into()),
        ("redirect_uri", CALLBACK.into()),
        ("code_verifier", verifier.into()),
        ("client_id", "hubkey".into()),
    ]
}

async fn redeem(provider: &HostileProvider, code: &str) -> (StatusCode, Value) {
    post_token(
        provider,
        http().post(token_url(provider)).form(&form(code, VERIFIER)),
    )
    .await
}

async fn post_token(_: &HostileProvider, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn token_url(provider: &HostileProvider) -> String {
    format!("{}/token", provider.issuer())
}

pub(super) async fn get(
    provider: &HostileProvider,
    path: &str,
) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}{path}", provider.issuer());
    provider
        .http
        .get(url)
        .timeout(Duration::from_millis(500))
        .send()
        .await
}

async fn tokens(provider: &HostileProvider) -> Value {
    let (status, answer) = redeem(provider, &sign_in(provider).await.code.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// The claims, if the signature is good under the published key of the header's `kid`.
async fn verified(provider: &HostileProvider, token: &str, alg: Algorithm) -> Option<Value> {
    let set: JwkSet = get(provider, "/jwks").await.unwrap().json().await.unwrap();
    let header = jsonwebtoken::decode_header(token).ok()?;
    let key = DecodingKey::from_jwk(set.find(&header.kid?)?).ok()?;
    let mut validation = Validation::new(alg);
    validation.validate_aud = false;
    jsonwebtoken::decode::<Value>(token, &key, &validation)
        .ok()
        .map(|data| data.claims)
}

#[tokio::test]
async fn an_honest_sign_in_ends_with_verifiable_tokens_once() {
    let provider = provider().await;
    provider.sign_in_as(Account::new("op-bob").claim("groups", json!(["lab"])));
    let back = sign_in(&provider).await;
    assert!(back.location.as_str().starts_with(CALLBACK));
    assert_eq!(back.state.as_deref(), Some("abc"));
    assert_eq!(back.iss, Some(provider.issuer()));

    let code = back.code.unwrap();
    let (status, answer) = redeem(&provider, &code).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["scope"], "openid read");
    let id_token = answer["id_token"].as_str().unwrap();
    let claims = verified(&provider, id_token, Algorithm::RS256)
        .await
        .unwrap();
    let access_token = answer["access_token"].as_str().unwrap();
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(
        (&claims["sub"], &claims["aud"]),
        (&json!("op-bob"), &json!("hubkey"))
    );
    assert_eq!(
        (&claims["nonce"], &claims["groups"]),
        (&json!("n-1"), &json!(["lab"]))
    );
    assert_eq!(claims["at_hash"], token::at_hash(Alg::Rs256, access_token));

    assert_eq!(redeem(&provider, &code).await.1["error"], "invalid_grant");
    assert_eq!(provider.hits(Endpoint::Token), 2);

    let userinfo = format!("{}/userinfo", provider.issuer());
    let ask = || http().get(&userinfo).bearer_auth(access_token).send();
    let info: Value = ask().await.unwrap().json().await.unwrap();
    assert_eq!(info["sub"], "op-bob");
    let forget = [("token", access_token), ("client_id", "hubkey")];
    http()
        .post(format!("{}/revoke", provider.issuer()))
        .form(&forget)
        .send()
        .await
        .unwrap();
    assert_eq!(provider.revoked(), [access_token]);
    assert_eq!(ask().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn pkce_is_enforced_until_told_otherwise() {
    let provider = provider().await;
    let wrong = form(
        &sign_in(&provider).await.code.unwrap(),
        &VERIFIER.replace("forty", "fifty"),
    );
    let (status, answer) =
        post_token(&provider, http().post(token_url(&provider)).form(&wrong)).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );

    let plain = authorize_url(&provider, "hubkey")
        .as_str()
        .replace("S256", "plain");
    assert_eq!(
        provider.authorize(&plain).await.unwrap().error.as_deref(),
        Some("invalid_request")
    );

    provider.capabilities().ignore_pkce();
    let other = form(
        &provider.authorize(&plain).await.unwrap().code.unwrap(),
        "whatever",
    );
    let (status, _) = post_token(&provider, http().post(token_url(&provider)).form(&other)).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn each_client_authenticates_by_its_own_method_only() {
    let (provider, secret) = (provider().await, "p:+/% ü");
    provider.register(Client::basic("b:1", secret).redirect_uri(CALLBACK));
    provider.register(Client::post("p 1", secret));
    let code = async |id: &str| {
        let url = authorize_url(&provider, id);
        provider
            .authorize(url.as_str())
            .await
            .unwrap()
            .code
            .unwrap()
    };
    let send = async |id: &str, basic: Option<(&str, &str)>, in_form: Option<&str>| {
        let mut form = form(&code(id).await, VERIFIER);
        form.retain(|(name, _)| *name != "client_id");
        form.extend(in_form.map(|secret| ("client_secret", secret.to_owned())));
        form.extend(in_form.map(|_| ("client_id", id.to_owned())));
        let request = http().post(token_url(&provider)).form(&form);
        let request = match basic {
            Some((id, secret)) => request.basic_auth(id, Some(secret)),
            None => request,
        };
        post_token(&provider, request).await.0
    };
    let encoded = "p%3A%2B%2F%25%20%C3%BC";
    assert_eq!(
        send("b:1", Some(("b%3A1", encoded)), None).await,
        StatusCode::OK
    );
    assert_eq!(
        send("b:1", Some(("b%3A1", secret)), None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        send("b:1", None, Some(secret)).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(send("p 1", None, Some(secret)).await, StatusCode::OK);
    assert_eq!(
        send("p 1", Some(("p%201", encoded)), None).await,
        StatusCode::UNAUTHORIZED
    );
    let elsewhere = authorize_url(&provider, "b:1")
        .as_str()
        .replace("op&", "other&");
    assert!(provider.authorize(&elsewhere).await.is_err());
    let twice = format!("{}&state=x", authorize_url(&provider, "p 1"));
    assert!(provider.authorize(&twice).await.is_err());
}

#[tokio::test]
async fn every_algorithm_signs_so_that_its_published_key_verifies() {
    let provider = provider().await;
    for (alg, name) in [
        (Alg::Rs256, Algorithm::RS256),
        (Alg::Ps256, Algorithm::PS256),
        (Alg::Es256, Algorithm::ES256),
        (Alg::EdDsa, Algorithm::EdDSA),
    ] {
        provider.signing_keys().generate(&[alg]).unwrap();
        let token = provider.signing_keys().mint_id_token("hubkey", "n");
        assert!(verified(&provider, &token, name).await.is_some(), "{alg:?}");
        provider.next_id_token(super::Draft::break_signature);
        let token = provider.signing_keys().mint_id_token("hubkey", "n");
        assert!(verified(&provider, &token, name).await.is_none(), "{alg:?}");
    }
}

#[tokio::test]
async fn a_lie_lasts_as_long_as_it_was_told_to() {
    let provider = provider().await;
    provider.next_id_token(|token| token.claim("sub", "op-eve"));
    provider.id_tokens(|token| token.claim("role", "admin"));
    let claims = async || {
        let token = provider.signing_keys().mint_id_token("hubkey", "n");
        verified(&provider, &token, Algorithm::RS256).await.unwrap()
    };
    let first = claims().await;
    assert_eq!(
        (&first["sub"], &first["role"]),
        (&json!("op-eve"), &json!("admin"))
    );
    let second = claims().await;
    assert_eq!(
        (&second["sub"], &second["role"]),
        (&json!("op-alice"), &json!("admin"))
    );
    provider.be_honest();
    assert_eq!(claims().await["role"], Value::Null);
}

#[tokio::test]
async fn a_changed_claim_leaves_the_signature_good() {
    let provider = provider().await;
    for case in id_token::of("p21") {
        provider.next_id_token(case.alter);
        let token = provider.signing_keys().mint_id_token("hubkey", "n");
        let claims = verified(&provider, &token, Algorithm::RS256)
            .await
            .expect(case.name);
        assert_ne!(claims["iss"], provider.issuer(), "{}", case.name);
    }
}

#[tokio::test]
async fn keys_rotate_before_and_just_before_signing() {
    let provider = provider().await;
    provider.signing_keys().generate(&[Alg::Es256]).unwrap();
    let before = provider.signing_keys().all()[0].jwk();
    provider.signing_keys().rotate_before_signing();
    assert_eq!(provider.signing_keys().all()[0].jwk(), before);
    let token = provider.signing_keys().mint_id_token("hubkey", "n");
    assert_ne!(provider.signing_keys().all()[0].jwk(), before);
    assert!(
        verified(&provider, &token, Algorithm::ES256)
            .await
            .is_some()
    );
    provider.signing_keys().replace_under_kid().unwrap();
    assert!(
        verified(&provider, &token, Algorithm::ES256)
            .await
            .is_none()
    );
    assert_eq!(provider.hits(Endpoint::Jwks), 2);
}

#[tokio::test]
async fn authorization_responses_can_be_anything() {
    let provider = provider().await;
    provider.next_authorization_response(|response| response.set("iss", "https://evil.example"));
    assert_eq!(
        sign_in(&provider).await.iss.as_deref(),
        Some("https://evil.example")
    );
    provider.next_authorization_response(|response| {
        response.remove("iss");
        response.add("error", "access_denied");
    });
    let both = sign_in(&provider).await;
    assert_eq!(
        (both.iss, both.error.as_deref()),
        (None, Some("access_denied"))
    );
    assert!(both.code.is_some());
    provider.next_authorization_response(|response| response.add("state", "second"));
    assert_eq!(
        sign_in(&provider)
            .await
            .location
            .as_str()
            .matches("state=")
            .count(),
        2
    );
}

#[tokio::test]
async fn access_tokens_and_userinfo_can_be_jwts() {
    let provider = provider().await;
    provider.capabilities().use_jwt_access_tokens();
    provider.capabilities().sign_userinfo();
    provider.tokens(TokenKind::Access, |token| token.claim("exp", "never"));
    let answer = tokens(&provider).await;
    let access_token = answer["access_token"].as_str().unwrap();
    assert_eq!(
        jsonwebtoken::decode_header(access_token)
            .unwrap()
            .typ
            .as_deref(),
        Some("at+jwt")
    );
    let userinfo = format!("{}/userinfo", provider.issuer());
    let info = http()
        .get(userinfo)
        .bearer_auth(access_token)
        .send()
        .await
        .unwrap();
    assert_eq!(info.headers()["content-type"], "application/jwt");
    assert_eq!(info.text().await.unwrap().split('.').count(), 3);
}

#[tokio::test]
async fn a_redirecting_endpoint_leads_to_a_bystander_that_counts() {
    let (provider, bystander) = (provider().await, Bystander::start().await.unwrap());
    for status in reply::REDIRECTS {
        provider.answer_next(Endpoint::Token, Reply::redirect(status, &bystander.url()));
        let response = http().post(token_url(&provider)).send().await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(bystander.hits(), 0);
    http()
        .get(bystander.url())
        .bearer_auth("x")
        .send()
        .await
        .unwrap();
    assert_eq!(bystander.requests()[0].token_of_scheme("bearer"), Some("x"));
}

#[tokio::test]
async fn a_silent_listener_accepts_and_says_nothing() {
    let silent = SilentListener::start().await.unwrap();
    let url = format!("http://{}", silent.address());
    let asked = http()
        .get(url)
        .timeout(Duration::from_millis(200))
        .send()
        .await;
    assert!(asked.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_forged_token_by_the_public_key_is_a_good_hmac() {
    let provider = provider().await;
    provider.next_id_token(super::Draft::sign_hs256_with_the_public_key);
    let token = provider.signing_keys().mint_id_token("hubkey", "n");
    let pem = provider.signing_keys().all()[0].public_pem().unwrap();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(pem.as_bytes());
    assert!(jsonwebtoken::decode::<Value>(&token, &key, &validation).is_ok());
    assert!(SigningKey::rsa_1024().public_pem().is_none());
}
