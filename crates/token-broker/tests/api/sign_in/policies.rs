//! What whole sign-ins promise: identity policies, shared servers, ends in time, and one registration for all.

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_domain::provider::IdentityPolicy;
use hubkey_fakes::{
    hostile_provider::{Account, Client, Endpoint},
    pkce,
    scripted_hub::HubEndpoint,
};
use hubkey_token_broker::use_cases::SharedServers;
use serde_json::json;

use crate::support::{
    attempt::opened_by,
    audit::AuditTrail,
    browser::parameter,
    outcome::{
        assert_no_connection, assert_told, confirmation, exchanges, failure, link_account,
        returning, revoked,
    },
    world::{CLIENT_SECRET, PUBLIC_URL, World, WorldOptions},
};

async fn with_identity(account_policy: IdentityPolicy) -> World {
    World::with(WorldOptions {
        account_policy,
        ..WorldOptions::default()
    })
    .await
}

/// The kernel's state after alice signed in with this account, and the page that she sees.
async fn after(world: &World, account: Account) -> (String, String) {
    world.provider.sign_in_as(account);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    let state = kernel.state(&sign_in).await;
    if state != "connected" {
        assert_no_connection(&kernel).await;
    }
    (state, page.page()["page"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn security_b8_the_policy_claim_wants_the_very_name() {
    let trail = AuditTrail::begin();
    let world = with_identity(IdentityPolicy::Claim("hub_user".to_owned())).await;
    let account = || Account::new("anybody");
    let fits = after(&world, account().claim("hub_user", "alice")).await;
    assert_eq!(fits, ("connected".to_owned(), "done".to_owned()));
    let refused = ("denied".to_owned(), "ended".to_owned());
    for (n, wrong) in [
        account().claim("hub_user", "mallory"),
        account().claim("hub_user", "Alice"),
        account().claim("hub_user", " alice"),
        account().claim("hub_user", "alice\u{0}"),
        account().claim("hub_user", ""),
        account().claim("hub_user", json!(["alice"])),
        account().claim("hub_user", json!(null)),
        account(),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(after(&world, wrong).await, refused);
        assert_eq!(
            revoked(&world.provider, 2 * (n + 1)).await.len(),
            2 * (n + 1)
        );
    }
    assert_told(&trail, "account_link_conflict");
}

#[tokio::test]
async fn security_b8_where_mixups_are_accepted_nobody_is_asked() {
    let world = with_identity(IdentityPolicy::Unchecked).await;
    let done = ("connected".to_owned(), "done".to_owned());
    assert_eq!(after(&world, Account::new("one")).await, done);
    assert_eq!(after(&world, Account::new("two")).await, done);
}

#[tokio::test]
async fn feature_g4_an_email_domain_is_a_rule_on_the_verified_claim() {
    let trail = AuditTrail::begin();
    let world = World::with(WorldOptions {
        account_policy: IdentityPolicy::Unchecked,
        adjust: |config| config.allowed_email_domains = vec!["lab.example".to_owned()],
        ..WorldOptions::default()
    })
    .await;
    let account = |email: &str, verified: bool| {
        Account::new("somebody")
            .claim("email", email)
            .claim("email_verified", verified)
    };
    let done = ("connected".to_owned(), "done".to_owned());
    assert_eq!(after(&world, account("a@Lab.Example", true)).await, done);
    let refused = ("denied".to_owned(), "ended".to_owned());
    for wrong in [
        account("a@lab.example", false),
        account("a@sub.lab.example", true),
        account("a@notlab.example", true),
        account("a@lab.example@elsewhere.example", true),
        account("lab.example", true),
        account("", true),
        Account::new("somebody").claim("email_verified", true),
    ] {
        assert_eq!(after(&world, wrong).await, refused);
    }
    assert_told(&trail, "account_link_conflict");
}

#[tokio::test]
async fn security_b8_a_pin_lives_as_long_as_it_is_used() {
    const DAYS: u64 = 300;
    let world = World::new().await;
    link_account(&world, "alice", "op-alice").await;
    for year in 1..=2 {
        world.clock.advance(Duration::from_secs(DAYS * 86_400));
        let passed = i64::try_from(year * DAYS * 86_400).unwrap();
        world.provider.be_honest();
        world.provider.id_tokens(move |token| {
            for claim in ["iat", "exp", "auth_time"] {
                token.shift(claim, passed);
            }
        });
        let seen = after(&world, Account::new("op-alice")).await;
        assert_eq!(seen, ("connected".to_owned(), "done".to_owned()), "{year}");
    }
}

async fn with_shared_servers(shared_servers: SharedServers) -> World {
    let world = World::with(WorldOptions {
        shared_servers,
        ..WorldOptions::default()
    })
    .await;
    world.hub.share("alice", "", &["bob"]);
    world
}

#[tokio::test]
async fn security_k4_b10_a_shared_server_is_told_to_person_and_audit() {
    let trail = AuditTrail::begin();
    let world = with_shared_servers(SharedServers::Warn).await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let page = confirmation(&mut world.browser("alice"), &sign_in).await;
    assert_eq!(page.page()["shared_server"], true);
    let events = trail.events();
    let told = events.iter().find(|event| event.contains("shared_server"));
    assert!(told.unwrap().contains("user=alice"), "{events:?}");
}

#[tokio::test]
async fn security_k4_where_denied_a_shared_server_opens_no_sign_in() {
    let trail = AuditTrail::begin();
    let world = with_shared_servers(SharedServers::Deny).await;
    let answer = world
        .kernel("alice", "")
        .create(&json!({"provider": "lab-api"}))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.code(), "shared_server");
    assert_told(&trail, "policy_denied");
    assert!(!trail.has("sign_in_started"));
}

#[tokio::test]
async fn security_k4_where_allowed_the_hub_is_not_even_asked() {
    let world = with_shared_servers(SharedServers::Allow).await;
    let sign_in = world.kernel("alice", "").open().await;
    let page = confirmation(&mut world.browser("alice"), &sign_in).await;
    assert_eq!(page.page()["shared_server"], false);
    assert_eq!(world.hub.hits(HubEndpoint::Shares), 0);
}

#[tokio::test]
async fn a_sign_in_ends_in_time_wherever_its_person_stands() {
    for stage in 0..4 {
        let world = World::new().await;
        let kernel = world.kernel("alice", "");
        let sign_in = kernel.open().await;
        let mut browser = world.browser("alice");
        let mut back = None;
        if stage == 1 {
            let started = browser.start(sign_in.ticket()).await;
            back = Some(browser.at_hub(started.location()).await);
        } else if stage == 2 {
            browser.go_to_provider(&sign_in).await;
        } else if stage == 3 {
            confirmation(&mut browser, &sign_in).await;
        }
        world.clock.advance(Duration::from_secs(599));
        assert_eq!(kernel.state(&sign_in).await, "pending", "stage {stage}");
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(kernel.state(&sign_in).await, "expired", "stage {stage}");
        if let Some(back) = back {
            assert_eq!(browser.hub_callback(&back).await.kind(), "refused");
        }
        let view = browser.view(&sign_in.nonce[..6]).await;
        assert_eq!(view.refusal(), "invalid_link", "stage {stage}");
        assert_no_connection(&kernel).await;
    }
}

#[tokio::test]
async fn a_connection_ends_when_its_life_is_over() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.browser("alice").sign_in(&sign_in).await;
    let count = async || {
        let list = kernel.send(Method::GET, "/v1/connections", None).await;
        list.json()["connections"].as_array().unwrap().len()
    };
    assert_eq!(kernel.state(&sign_in).await, "connected");
    world.clock.advance(Duration::from_secs(12 * 3600 - 1));
    assert_eq!(count().await, 1);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn feature_c3_code_flow_with_a_challenge_and_its_verifier() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let url = leaving.location().parse().unwrap();
    assert_eq!(parameter(&url, "response_type").unwrap(), "code");
    assert_eq!(parameter(&url, "code_challenge_method").unwrap(), "S256");
    assert!(parameter(&url, "nonce").unwrap().len() >= 43);
    assert!(parameter(&url, "response_mode").is_none_or(|mode| mode == "query"));
    let challenge = parameter(&url, "code_challenge").unwrap();
    let back = browser.at_provider(leaving.location()).await;
    browser.callback("lab-api", &back).await;
    let request = &world.provider.requests(Endpoint::Token)[0];
    let verifier = request.form_value("code_verifier").unwrap();
    assert!(pkce::fits(&challenge, &verifier));
}

#[tokio::test]
async fn feature_c3_a_token_request_without_its_verifier_fails() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    // The provider saw another challenge than ours.
    let mut url: url::Url = leaving.location().parse().unwrap();
    let pairs: Vec<_> = url
        .query_pairs()
        .map(|(name, value)| match &*name {
            "code_challenge" => (name.into_owned(), "A".repeat(43)),
            _ => (name.into_owned(), value.into_owned()),
        })
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    let back = browser.at_provider(url.as_str()).await;
    browser.callback("lab-api", &back).await;
    assert_eq!(failure(&kernel, &sign_in).await, "code_expired");
    assert_eq!(exchanges(&world), 1);
}

#[tokio::test]
async fn feature_c7_the_client_secret_goes_to_the_token_endpoint_alone() {
    let world = World::new().await;
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    browser.callback("lab-api", &back).await;
    let token = &world.provider.requests(Endpoint::Token)[0];
    let basic = token.basic_credentials().unwrap();
    assert_eq!(basic, ("hubkey".to_owned(), CLIENT_SECRET.to_owned()));
    for endpoint in [Endpoint::Authorize, Endpoint::Discovery, Endpoint::Jwks] {
        for request in world.provider.requests(endpoint) {
            assert!(!format!("{request:?}").contains(CLIENT_SECRET));
            assert!(request.authorization().is_none());
        }
    }
}

#[tokio::test]
async fn feature_b9_one_redirect_uri_serves_every_user_and_server() {
    let world = World::new().await;
    let redirect_uri = format!("{PUBLIC_URL}/callback/lab-api");
    world
        .provider
        .register(Client::basic("hubkey", CLIENT_SECRET).redirect_uri(&redirect_uri));
    for (user, server) in [("alice", ""), ("bob", ""), ("alice", "gpu")] {
        world
            .provider
            .sign_in_as(Account::new(&format!("op-{user}")));
        let kernel = world.kernel(user, server);
        let sign_in = kernel.open().await;
        world.browser(user).sign_in(&sign_in).await;
        let ready = kernel.poll(&sign_in).await.json();
        assert_eq!(ready["connection"]["account"]["sub"], format!("op-{user}"));
    }
    let asked = world.provider.requests(Endpoint::Authorize);
    assert_eq!(asked.len(), 3);
    for request in asked {
        assert_eq!(request.query_value("redirect_uri").unwrap(), redirect_uri);
    }
}

#[tokio::test]
async fn feature_g9_a_sign_in_from_a_named_server_reaches_that_server_alone() {
    let world = World::new().await;
    let (named, default) = (world.kernel("alice", "srv"), world.kernel("alice", ""));
    let sign_in = named.open().await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    assert_eq!(page.page()["server"], "srv");
    browser.decide("confirm", &page, "accept").await;
    assert_eq!(default.poll(&sign_in).await.status, StatusCode::NOT_FOUND);
    assert_no_connection(&default).await;
    assert_eq!(named.state(&sign_in).await, "connected");
    let list = default.send(Method::GET, "/v1/connections", None).await;
    assert_eq!(list.json()["connections"], json!([]));
}
