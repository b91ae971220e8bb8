use std::time::Duration;

use http::StatusCode;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use url::Url;

use super::{BROWSER_COOKIE, Fault, HubClient, HubEndpoint, ScriptedHub, models};
use crate::fake_http::{Pace, Reply};
use crate::pkce;

const CALLBACK: &str = "http://127.0.0.1:1/oauth_callback";
const VERIFIER: &str = "a-verifier-of-exactly-forty-three-characters";

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

async fn hub() -> ScriptedHub {
    let hub = ScriptedHub::start().await.unwrap();
    hub.register(HubClient::hubkey("service-secret", CALLBACK));
    hub
}

async fn user(hub: &ScriptedHub, token: &str) -> reqwest::Result<reqwest::Response> {
    let header = format!("token {token}");
    let request = client()
        .get(format!("{}/user", hub.api_url()))
        .header("authorization", header);
    request.timeout(Duration::from_millis(500)).send().await
}

async fn authorize(hub: &ScriptedHub, cookie: &str) -> reqwest::Response {
    let mut url = Url::parse(&format!("{}/oauth2/authorize", hub.api_url())).unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", "service-hubkey")
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("response_type", "code")
        .append_pair("state", "abc")
        .append_pair("code_challenge", &pkce::challenge(VERIFIER))
        .append_pair("code_challenge_method", "S256");
    client()
        .get(url)
        .header("cookie", cookie)
        .send()
        .await
        .unwrap()
}

fn code_of(response: &reqwest::Response) -> String {
    assert_eq!(response.status(), StatusCode::FOUND);
    let location = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK));
    let value = |name| {
        location
            .query_pairs()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .into_owned()
    };
    assert_eq!(value("state"), "abc");
    value("code")
}

async fn redeem(hub: &ScriptedHub, code: &str, verifier: &str) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "service-hubkey"),
        ("client_secret", "service-secret"),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", verifier),
    ];
    let url = format!("{}/oauth2/token", hub.api_url());
    let response = client().post(url).form(&form).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_server_token_answers_with_its_model_until_it_is_revoked() {
    let hub = hub().await;
    let token = hub.server_token("alice", "gpu");

    let model: Value = user(&hub, &token).await.unwrap().json().await.unwrap();
    assert_eq!(model["name"], "alice");
    assert_eq!(model["session_id"], Value::Null);
    assert_eq!(model["scopes"][0], "access:servers!server=alice/gpu");

    hub.revoke(&token);
    assert_eq!(
        user(&hub, &token).await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(hub.hits(HubEndpoint::User), 2);
    assert_eq!(hub.distinct_tokens(), 1);
}

#[tokio::test]
async fn a_browser_gets_a_token_by_oauth_once_and_loses_it_at_logout() {
    let hub = hub().await;
    let code = code_of(&authorize(&hub, &format!("a=b; {BROWSER_COOKIE}=alice")).await);

    let (status, answer) = redeem(&hub, &code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK);
    let token = answer["access_token"].as_str().unwrap();
    let model: Value = user(&hub, token).await.unwrap().json().await.unwrap();
    assert_eq!(model["name"], "alice");
    assert!(model["session_id"].is_string());
    assert_eq!(model["scopes"][0], "access:services!service=hubkey");

    let (status, answer) = redeem(&hub, &code, VERIFIER).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );

    let server = hub.server_token("alice", "");
    hub.log_out("alice");
    assert_eq!(
        user(&hub, token).await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(user(&hub, &server).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_verifier_gets_nothing() {
    let hub = hub().await;
    hub.log_in_every_browser(Some("alice"));
    let code = code_of(&authorize(&hub, "").await);
    let other = VERIFIER.replace("forty", "fifty");
    assert_eq!(redeem(&hub, &code, &other).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_unknown_browser_is_sent_to_the_login_page_and_a_forbidden_user_refused() {
    let hub = hub().await;
    let response = authorize(&hub, "").await;
    assert_eq!(response.status(), StatusCode::FOUND);
    assert!(
        response.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with("/hub/login?next=")
    );

    hub.forbid_services("mallory");
    let response = authorize(&hub, &format!("{BROWSER_COOKIE}=mallory")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_model_behind_a_browser_can_change() {
    let hub = hub().await;
    hub.log_in_every_browser(Some("alice"));
    hub.alter_browser_models(|model| model["name"] = json!("bob"));
    let code = code_of(&authorize(&hub, "").await);
    let (_, answer) = redeem(&hub, &code, VERIFIER).await;
    let token = answer["access_token"].as_str().unwrap();
    let model: Value = user(&hub, token).await.unwrap().json().await.unwrap();
    assert_eq!(model["name"], "bob");
}

#[tokio::test]
async fn every_fault_is_what_it_says() {
    let hub = hub().await;
    let token = hub.token_of(models::server("alice", ""));

    hub.fault(Fault::Down);
    assert!(user(&hub, &token).await.is_err());
    hub.fault(Fault::Status(500));
    assert_eq!(
        user(&hub, &token).await.unwrap().status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    hub.fault(Fault::Html);
    let page = user(&hub, &token).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
    hub.fault(Fault::Hang);
    assert!(user(&hub, &token).await.unwrap_err().is_timeout());
    hub.fault(Fault::Slow(Duration::from_millis(50)));
    assert_eq!(user(&hub, &token).await.unwrap().status(), StatusCode::OK);
    hub.fault(Fault::None);
    assert_eq!(user(&hub, &token).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_token_can_answer_with_anything() {
    let hub = hub().await;
    let doubled = hub.token_with_reply(Reply::json_text(r#"{"name":"alice","name":"bob"}"#));
    let text = user(&hub, &doubled).await.unwrap().text().await.unwrap();
    assert_eq!(text, r#"{"name":"alice","name":"bob"}"#);
    let cut = hub.token_with_reply(Reply::json_text("{\"name\":").paced(Pace::CutAfter(3)));
    assert!(user(&hub, &cut).await.unwrap().text().await.is_err());
}

#[tokio::test]
async fn shares_are_told_to_the_service_only() {
    let hub = hub().await;
    let _ = hub.server_token("alice", "");
    hub.share("alice", "gpu", &["bob"]);
    let ask = async |path: &str, token: &str| {
        let request = client()
            .get(format!("{}/shares/{path}", hub.api_url()))
            .bearer_auth(token);
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let (_, shared) = ask("alice/gpu", "service-secret").await;
    assert_eq!(shared["items"][0]["user"]["name"], "bob");
    let (_, alone) = ask("alice/", "service-secret").await;
    assert_eq!(alone["items"], json!([]));
    assert_eq!(
        ask("alice/none", "service-secret").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(ask("alice/gpu", "other").await.0, StatusCode::FORBIDDEN);
}

#[test]
fn every_rejected_model_differs_from_a_server_token() {
    assert_eq!(models::rejects().len(), 10);
    for (name, model) in models::rejects() {
        assert_ne!(
            model["scopes"],
            models::server("alice", "")["scopes"],
            "{name}"
        );
    }
}
