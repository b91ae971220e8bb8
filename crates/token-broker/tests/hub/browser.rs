//! Who a browser is.

use std::collections::BTreeMap;

use hubkey_domain::{
    clock::Timestamp,
    identity::{HubUser, ServerName},
};
use hubkey_fakes::fake_http::{Pace, Reply};
use hubkey_fakes::pkce;
use hubkey_fakes::scripted_hub::{BROWSER_COOKIE, Fault, HubEndpoint};
use hubkey_protocol::secret::{
    AuthorizationCode, HubAccessToken, PkceVerifier, Secret as _, State,
};
use hubkey_token_broker::hub::{BrowserAuthenticator, BrowserError};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use url::Url;

use crate::stage::{REDIRECT_URI, SERVICE_TOKEN, Stage};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn verifier() -> PkceVerifier {
    PkceVerifier::new(VERIFIER)
}

fn authorize_url(stage: &Stage) -> Url {
    let sent = State::new("abcdef.some-random-state");
    let url = stage.browsers.authorize_url(&sent, &verifier());
    url.expose().parse().unwrap()
}

/// Walks alice's browser to the Hub and back, and gives the code.
async fn code(stage: &Stage) -> AuthorizationCode {
    let browser = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let mut url = authorize_url(stage);
    let hub: Url = stage.hub.url().parse().unwrap();
    url.set_scheme("http").unwrap();
    url.set_host(hub.host_str()).unwrap();
    url.set_port(hub.port()).unwrap();
    let request = browser
        .get(url)
        .header("cookie", format!("{BROWSER_COOKIE}=alice"));
    let response = request.send().await.unwrap();
    let location: Url = response.headers()["location"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let mut answer: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!(answer["state"], "abcdef.some-random-state");
    AuthorizationCode::new(answer.remove("code").unwrap())
}

async fn redeem(stage: &Stage) -> Result<(HubUser, HubAccessToken), BrowserError> {
    stage.redeem(code(stage).await, verifier()).await
}

fn user(name: &str) -> HubUser {
    HubUser::parse(name).unwrap()
}

#[tokio::test]
async fn security_b2_the_authorize_url_is_exactly_what_the_hub_compares() {
    let stage = Stage::set().await;
    let url = authorize_url(&stage);
    assert_eq!(
        url.as_str().split('?').next(),
        Some("https://hub.example.org/hub/api/oauth2/authorize")
    );
    let parameters: Vec<_> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "service-hubkey"),
        ("redirect_uri", REDIRECT_URI),
        ("state", "abcdef.some-random-state"),
        // The example of RFC 7636, appendix B.
        (
            "code_challenge",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        ),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(
        parameters,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        pkce::challenge(VERIFIER),
        expected[4].1,
        "the fake agrees with the RFC"
    );
}

#[tokio::test]
async fn the_path_of_the_hub_is_that_of_its_api() {
    for public in [
        "https://hub.example.org",
        "https://hub.example.org/base/hub/",
        "https://hub.example.org/base",
    ] {
        let stage = Stage::set_with(|config| {
            config.public_url = public.parse().unwrap();
            config.api_url.set_path("/base/hub/api/");
        })
        .await;
        let url = authorize_url(&stage);
        assert_eq!(url.path(), "/base/hub/api/oauth2/authorize", "{public}");
    }
}

#[tokio::test]
async fn a_browser_is_who_the_hub_says() {
    let stage = Stage::set().await;
    let code = code(&stage).await;
    let text = code.expose().to_owned();
    let (who, token) = stage.redeem(code, verifier()).await.unwrap();
    let made = Timestamp::from_rfc3339("2026-11-24T19:00:00.123456Z");
    for one in [who, stage.browsers.recheck(&token).await.unwrap()] {
        assert!(one.is(&user("alice").made_at(made)), "{one:?}");
    }

    let [request] = &stage.hub.requests(HubEndpoint::Token)[..] else {
        panic!("one redemption");
    };
    let mut form = request.form_pairs();
    form.sort();
    let expected = [
        ("client_id", "service-hubkey"),
        ("client_secret", SERVICE_TOKEN),
        ("code", &text),
        ("code_verifier", VERIFIER),
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
    ];
    assert_eq!(
        form,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        (request.authorization(), request.query.as_str()),
        (None, "")
    );
}

#[tokio::test]
async fn a_code_with_another_verifier_or_a_second_time_is_refused() {
    let stage = Stage::set().await;
    let stolen = code(&stage).await;
    let other = PkceVerifier::new(VERIFIER.replace('d', "e"));
    let answer = stage.redeem(stolen, other).await;
    assert_eq!(answer.err(), Some(BrowserError::Refused));

    let first = code(&stage).await;
    let second = AuthorizationCode::new(first.expose());
    assert!(stage.redeem(first, verifier()).await.is_ok());
    let answer = stage.redeem(second, verifier()).await;
    assert_eq!(answer.err(), Some(BrowserError::Refused));
}

#[tokio::test]
async fn security_b3_a_browser_that_logged_out_of_the_hub_is_nobody() {
    let stage = Stage::set().await;
    let (_, token) = redeem(&stage).await.unwrap();
    stage.hub.log_out("alice");
    assert_eq!(
        stage.browsers.recheck(&token).await.err(),
        Some(BrowserError::Refused)
    );
}

#[tokio::test]
async fn security_b6_a_browser_that_became_another_user_is_told_apart() {
    let stage = Stage::set().await;
    let (who, token) = redeem(&stage).await.unwrap();
    assert_eq!(who.as_str(), "alice");
    stage
        .hub
        .alter_browser_models(|model| model["name"] = json!("bob"));
    let now = stage.browsers.recheck(&token).await.unwrap();
    assert_eq!(now.as_str(), "bob");
    assert!(!now.may_be(&who));
}

#[tokio::test]
async fn security_k1_a_servers_token_is_no_browser() {
    let stage = Stage::set().await;
    let token = HubAccessToken::new(stage.hub.server_token("alice", ""));
    assert_eq!(
        stage.browsers.recheck(&token).await.err(),
        Some(BrowserError::Refused)
    );
}

#[tokio::test]
async fn a_token_that_is_not_for_hubkey_is_no_browser() {
    let refused: [(&str, Value); 8] = [
        ("session_id", json!(null)),
        ("kind", json!("service")),
        ("scopes", json!([])),
        ("scopes", json!(["access:services!service=evil"])),
        ("scopes", json!(["access:services!service=hubkey2"])),
        ("scopes", json!(["access:services!user=alice"])),
        ("scopes", json!(["access:servers!server=alice/"])),
        ("scopes", json!(["xaccess:services!service=hubkey"])),
    ];
    for (member, value) in refused {
        let stage = Stage::set().await;
        let shown = format!("{member}: {value}");
        stage
            .hub
            .alter_browser_models(move |model| model[member] = value.clone());
        let answer = redeem(&stage).await;
        assert_eq!(answer.err(), Some(BrowserError::Refused), "{shown}");
    }
    let stage = Stage::set().await;
    stage.hub.alter_browser_models(|model| {
        model.as_object_mut().unwrap().remove("session_id");
    });
    assert_eq!(redeem(&stage).await.err(), Some(BrowserError::Refused));
}

#[tokio::test]
async fn a_token_for_all_services_is_for_hubkey_too() {
    let stage = Stage::set().await;
    stage
        .hub
        .alter_browser_models(|model| model["scopes"] = json!(["access:services", "tokens"]));
    assert_eq!(redeem(&stage).await.unwrap().0.as_str(), "alice");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_nobody() {
    let token = "0123456789abcdef0123456789abcdef";
    let replies = [
        Reply::html("<!doctype html><title>Log in</title>"),
        Reply::json(&json!({"token_type": "Bearer"})),
        Reply::json(&json!({"access_token": token})),
        Reply::json(&json!({"access_token": token, "token_type": "mac"})),
        Reply::json(&json!({"access_token": null, "token_type": "Bearer"})),
        Reply::json(&json!({"access_token": "a b", "token_type": "Bearer"})),
        Reply::json(&json!({"access_token": format!("{token}\r\nX: 1"), "token_type": "Bearer"})),
        Reply::json_text(format!(
            r#"{{"access_token":"{token}","access_token":"{token}","token_type":"Bearer"}}"#
        )),
        Reply::json(
            &json!({"access_token": token, "token_type": "Bearer", "scope": "x".repeat(65_536)}),
        ),
        Reply::json_text(" ").paced(Pace::Endless),
        Reply::json_text(r#"{"access_token":"#).paced(Pace::CutAfter(5)),
        Reply::oauth_error(http::StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        Reply::redirect(http::StatusCode::FOUND, "/hub/login"),
    ];
    let stage = Stage::set().await;
    for reply in replies {
        let shown = format!("{reply:.200?}");
        stage.hub.answer(HubEndpoint::Token, reply);
        let answer = redeem(&stage).await;
        assert_eq!(answer.err(), Some(BrowserError::HubUnavailable), "{shown}");
    }
    assert_eq!(stage.questions(), 0, "no token, no question");
}

#[tokio::test]
async fn a_hub_that_is_down_vouches_for_no_browser() {
    let stage = Stage::set().await;
    let code = code(&stage).await;
    let (_, token) = redeem(&stage).await.unwrap();
    stage.hub.fault(Fault::Down);
    let unavailable = Some(BrowserError::HubUnavailable);
    let server = ServerName::parse("").unwrap();
    let shared = stage.browsers.is_shared(&user("alice"), &server).await;
    assert_eq!(shared.err(), unavailable);
    assert_eq!(stage.browsers.recheck(&token).await.err(), unavailable);
    let redeemed = stage.redeem(code, verifier()).await;
    assert_eq!(redeemed.err(), unavailable);
}

/// What the Hub says now, and not what it said seconds ago.
async fn is_shared(stage: &Stage, owner: &str, server: &str) -> Option<bool> {
    stage.later(5);
    let server = ServerName::parse(server).unwrap();
    stage
        .browsers
        .is_shared(&user(owner), &server)
        .await
        .unwrap()
}

#[tokio::test]
async fn security_b10_the_hub_tells_which_servers_are_shared() {
    let stage = Stage::set().await;
    let _ = stage.hub.server_token("alice", "");
    stage.hub.share("alice", "gpu", &["bob"]);
    assert_eq!(is_shared(&stage, "alice", "").await, Some(false));
    assert_eq!(is_shared(&stage, "alice", "gpu").await, Some(true));
    assert_eq!(is_shared(&stage, "alice", "none").await, None);

    let unprivileged = Stage::set_with(|config| {
        config.api_token = hubkey_protocol::secret::ClientSecret::new("another-service");
    })
    .await;
    unprivileged.hub.share("alice", "", &["bob"]);
    assert_eq!(is_shared(&unprivileged, "alice", "").await, None);
}

#[tokio::test]
async fn security_b10_names_reach_the_hub_as_they_are() {
    let stage = Stage::set().await;
    for (owner, server) in [
        ("a/b", "c"),
        ("a", "b/c"),
        ("a b+c", "d"),
        ("zoë", "β"),
        ("a%2Fb", "%"),
        ("a?b=c", "#d"),
        ("a;b", "..%2f"),
        ("alice@example.org", "x:y"),
    ] {
        assert_eq!(is_shared(&stage, owner, server).await, None);
        stage.hub.share(owner, server, &["bob"]);
        assert_eq!(
            is_shared(&stage, owner, server).await,
            Some(true),
            "{owner} {server}"
        );
    }
    let asked = stage.hub.hits(HubEndpoint::Shares);
    for dots in [".", ".."] {
        assert_eq!(is_shared(&stage, dots, "x").await, None);
        assert_eq!(is_shared(&stage, "alice", dots).await, None);
    }
    let hub = &stage.hub;
    assert_eq!(
        (hub.hits(HubEndpoint::Shares), hub.hits(HubEndpoint::Other)),
        (asked, 0)
    );
}

#[tokio::test]
async fn security_b10_a_further_page_of_shares_counts() {
    let stage = Stage::set().await;
    for (page, shared) in [
        (json!({"items": []}), false),
        (json!({"items": [], "_pagination": {"next": null}}), false),
        (
            json!({"items": [], "_pagination": {"next": {"offset": 50}}}),
            true,
        ),
    ] {
        stage.hub.answer(HubEndpoint::Shares, Reply::json(&page));
        assert_eq!(is_shared(&stage, "alice", "").await, Some(shared), "{page}");
    }
}
