//! Whole sign-ins at a provider without OpenID Connect: the rules about accounts are the same (ADR 34).

use std::time::Duration;

use http::StatusCode;
use hubkey_domain::provider::{Endpoints, IdentityPolicy, OAuth2Endpoints, ProviderConfig};
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Account, Endpoint},
};
use serde_json::{Value, json};
use url::Url;

use crate::support::{
    audit::AuditTrail,
    browser::{Reply as Answer, parameter},
    kernel::{Opened, TestKernel},
    outcome::{
        assert_no_connection, assert_told, confirmation, exchanges, failure, returning, revoked,
    },
    world::{World, WorldOptions},
};

/// The provider of the world, as one configures GitHub and its like.
fn plain(config: &mut ProviderConfig) {
    let issuer = config.endpoints.issuer().to_owned();
    let url = |path: &str| Url::parse(&format!("{issuer}{path}")).unwrap();
    config.scope_policy.default_scopes = hubkey_protocol::Scopes::parse("repo read:user").unwrap();
    config.scope_policy.allowed_scopes = config.scope_policy.default_scopes.clone();
    config.endpoints = Endpoints::OAuth2(OAuth2Endpoints {
        authorization: url("/authorize"),
        token: url("/token"),
        userinfo: url("/userinfo"),
        revocation: Some(url("/revoke")),
        subject_field: "id".to_owned(),
        issuer,
    });
}

async fn with_identity(account_policy: IdentityPolicy) -> World {
    let world = World::with(WorldOptions {
        account_policy,
        adjust: plain,
        ..WorldOptions::default()
    })
    .await;
    world.provider.token_responses(|answer| {
        if answer.get("access_token").is_some() {
            answer["scope"] = json!("repo,read:user");
            let answer = answer.as_object_mut().unwrap();
            answer.remove("expires_in");
            answer.remove("refresh_token");
            answer.remove("id_token");
        }
    });
    is(&world, 583_231, "octo");
    world
}

async fn world() -> World {
    with_identity(IdentityPolicy::Confirm).await
}

/// Who the provider's API says this is, from now on.
fn is(world: &World, id: u64, login: &'static str) {
    world.provider.sign_in_as(Account::new(&id.to_string()));
    world.provider.replies(Endpoint::UserInfo, move |reply| {
        reply.edit_json(|user| *user = json!({ "id": id, "login": login, "email": null }));
    });
}

async fn opened(world: &World, user: &str, server: &str) -> (TestKernel, Opened) {
    let kernel = world.kernel(user, server);
    let sign_in = kernel.open().await;
    (kernel, sign_in)
}

/// The page that a person sees who comes back from the provider.
async fn page_of(world: &World, user: &str, sign_in: &Opened) -> Value {
    let mut browser = world.browser(user);
    let back = returning(&mut browser, sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    let Answer(page) = browser.view(reply.flow()).await;
    page["answer"]["page"].clone()
}

#[tokio::test]
async fn feature_a8_a_plain_provider_signs_in_by_a_number_scopes_with_commas_and_no_end() {
    let world = world().await;
    let (kernel, sign_in) = opened(&world, "alice", "").await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    let account = page.page()["account"].as_str().unwrap();
    assert!(account.contains("octo"), "{account}");
    assert_eq!(page.page()["replaces_account"], false);
    assert_eq!(kernel.state(&sign_in).await, "pending");
    assert_no_connection(&kernel).await;
    browser.decide("confirm", &page, "accept").await;
    let ready = kernel.poll(&sign_in).await.json();
    let connection = &ready["connection"];
    assert_eq!(connection["account"]["sub"], "583231");
    let mut scopes: Vec<_> = connection["scopes"].as_array().unwrap().iter().collect();
    scopes.sort_by_key(|scope| scope.as_str());
    assert_eq!(scopes, ["read:user", "repo"]);
    assert!(connection["expires_at"].is_null(), "no end was told");
    // And it is not taken for ended: a day later the same token is served.
    kernel.acknowledge(&sign_in).await;
    world.clock.advance(Duration::from_hours(11));
    let id = connection["id"].as_str().unwrap();
    let token_answer = kernel.get_token(id, 300).await;
    assert_eq!(
        token_answer.status,
        StatusCode::OK,
        "{}",
        token_answer.code()
    );
    assert_eq!(exchanges(&world), 1);
}

#[tokio::test]
async fn security_b8_the_pin_of_a_plain_account_is_its_number_and_not_its_name() {
    let world = world().await;
    let (kernel, sign_in) = opened(&world, "alice", "").await;
    world.browser("alice").sign_in(&sign_in).await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
    // Whoever takes the name over is somebody else; whoever changes it is not.
    let (_, sign_in) = opened(&world, "alice", "two").await;
    is(&world, 583_231, "octo-renamed");
    assert_eq!(page_of(&world, "alice", &sign_in).await["page"], "done");
    let (_, sign_in) = opened(&world, "alice", "three").await;
    is(&world, 7, "octo");
    let page = page_of(&world, "alice", &sign_in).await;
    assert_eq!(page["page"], "confirm");
    assert_eq!(page["replaces_account"], true);
}

#[tokio::test]
async fn security_b8_a_plain_account_pinned_to_another_user_is_refused() {
    let world = world().await;
    let (_, sign_in) = opened(&world, "alice", "").await;
    world.browser("alice").sign_in(&sign_in).await;
    let trail = AuditTrail::begin();
    let (kernel, sign_in) = opened(&world, "mallory", "").await;
    let page = page_of(&world, "mallory", &sign_in).await;
    assert_eq!(page["page"], "ended");
    assert_eq!(page["reason"], "account_refused");
    assert!(!page.to_string().contains("alice"), "{page}");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_no_connection(&kernel).await;
    assert_told(&trail, "account_link_conflict");
    assert_eq!(revoked(&world.provider, 1).await.len(), 1);
}

#[tokio::test]
async fn security_b8_a_claim_of_a_plain_provider_has_to_be_the_very_name() {
    let world = with_identity(IdentityPolicy::Claim("login".to_owned())).await;
    is(&world, 1, "alice");
    let (kernel, sign_in) = opened(&world, "alice", "").await;
    assert_eq!(page_of(&world, "alice", &sign_in).await["page"], "done");
    assert_eq!(kernel.state(&sign_in).await, "connected");
    is(&world, 2, "Alice");
    let (kernel, sign_in) = opened(&world, "alice", "two").await;
    assert_eq!(page_of(&world, "alice", &sign_in).await["page"], "ended");
    assert_eq!(kernel.state(&sign_in).await, "denied");
}

#[tokio::test]
async fn security_b8_an_api_that_names_nobody_connects_nobody() {
    let world = world().await;
    for user in [
        json!({ "login": "octo" }),
        json!({ "id": 1.5 }),
        json!({ "id": null }),
    ] {
        world
            .provider
            .answer_next(Endpoint::UserInfo, Reply::json(&user));
        let (kernel, sign_in) = opened(&world, "alice", "").await;
        let page = page_of(&world, "alice", &sign_in).await;
        assert_eq!(page["page"], "ended", "{user}");
        failure(&kernel, &sign_in).await;
        assert_no_connection(&kernel).await;
    }
}

#[tokio::test]
async fn security_p18_a_plain_authorize_url_has_state_and_challenge_and_asks_for_nothing_more() {
    let world = world().await;
    let (_, sign_in) = opened(&world, "alice", "").await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let url = Url::parse(leaving.location()).unwrap();
    assert!(parameter(&url, "state").is_some());
    assert_eq!(
        parameter(&url, "code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(parameter(&url, "scope").as_deref(), Some("read:user repo"));
    assert_eq!(parameter(&url, "nonce"), None);
}
