//! Connections of one session at the provider (`sid`): only the last one to end gives the refresh token back (ADR 43).

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_domain::connection::Connection;
use hubkey_fakes::hostile_provider::{Account, Endpoint};
use hubkey_protocol::{ConnectionId, Scopes};
use hubkey_store::{
    Change, Key, Outcome,
    typed::{Loaded, TypedStore},
};
use serde_json::json;

use crate::support::{
    kernel::{Connected, TestKernel},
    outcome::{confirmation, returning},
    probe::CommitFault,
    world::{World, WorldOptions},
};

const SESSION: &str = "session-1";

/// A kernel with its connection.
type Server = (TestKernel, Connected);

fn in_session(world: &World, session: &str) {
    let account = Account::new("op-alice").claim("sid", session);
    world.provider.sign_in_as(account);
}

async fn connect(world: &World, server: &str, session: &str) -> Server {
    in_session(world, session);
    let kernel = world.kernel("alice", server);
    let connection = world.connect(&kernel, "alice").await;
    (kernel, connection)
}

/// Alice is connected in two servers, out of one session.
async fn two() -> (World, Server, Server) {
    let world = World::new().await;
    let first = connect(&world, "", SESSION).await;
    let second = connect(&world, "gpu", SESSION).await;
    (world, first, second)
}

async fn sign_out((kernel, connection): &Server) {
    let path = format!("/v1/connections/{}", connection.id);
    let done = kernel.send(Method::DELETE, &path, None).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.text());
}

async fn is_alive((kernel, connection): &Server) -> bool {
    kernel.get_token(&connection.id, 0).await.status == StatusCode::OK
}

/// How many refresh tokens and access tokens the provider was told to forget, when all was told.
async fn told(world: &World) -> (usize, usize) {
    world.broker.finish(Duration::from_secs(10)).await;
    let told = world.provider.requests(Endpoint::Revocation);
    let of = |hint: &str| {
        let hinted = told
            .iter()
            .filter(|told| told.form_value("token_type_hint").as_deref() == Some(hint));
        hinted.count()
    };
    (of("refresh_token"), of("access_token"))
}

async fn stored(world: &World, connection: &Connected) -> (Key, Loaded<Connection>) {
    let key = Key::connection(&ConnectionId::parse(&connection.id).unwrap());
    let found = world.backends.store.load(&key).await.unwrap();
    (key, found.unwrap())
}

#[tokio::test]
async fn need_10_only_the_last_connection_of_a_session_revokes_the_refresh_token() {
    let (world, first, second) = two().await;
    let other = connect(&world, "other", "session-2").await;
    sign_out(&first).await;
    assert_eq!(told(&world).await, (0, 1));
    assert_eq!(
        world.provider.revoked(),
        std::slice::from_ref(&first.1.access_token)
    );
    assert!(!is_alive(&first).await && is_alive(&second).await);
    sign_out(&second).await;
    assert_eq!(
        told(&world).await,
        (1, 2),
        "of another session is no matter"
    );
    assert!(world.provider.revoked().contains(&second.1.access_token));
    sign_out(&other).await;
    assert_eq!(told(&world).await, (2, 3));
}

#[tokio::test]
async fn security_r12_of_two_ends_at_once_at_least_one_revokes_the_refresh_token() {
    for _ in 0..25 {
        let (world, first, second) = two().await;
        let elsewhere = TestKernel::new(world.replica(), second.0.token.clone());
        let second = (elsewhere, second.1);
        tokio::join!(sign_out(&first), sign_out(&second));
        // The other replica's flights are its own.
        for _ in 0..400 {
            if told(&world).await.1 == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (refresh_tokens, access_tokens) = told(&world).await;
        assert!(refresh_tokens >= 1, "a grant was left behind");
        assert_eq!(access_tokens, 2);
    }
}

#[tokio::test]
async fn security_r12_a_connection_that_is_gone_or_cannot_revoke_counts_for_nothing() {
    // Its record ended, and the list does not know.
    let (world, first, second) = two().await;
    let (key, found) = stored(&world, &first.1).await;
    let delete = Change::delete(key, found.generation);
    assert_eq!(
        world.backends.store.commit(vec![delete]).await.unwrap(),
        Outcome::Done
    );
    sign_out(&second).await;
    assert_eq!(told(&world).await, (1, 1));

    // It has no refresh token to give back.
    let (world, first, second) = two().await;
    let (key, mut found) = stored(&world, &first.1).await;
    found.value.grant.tokens.refresh_token = None;
    let put = Change::put(key, found.expect(), &found.value, Duration::from_hours(1));
    let put = vec![put.unwrap()];
    assert_eq!(
        world.backends.store.commit(put).await.unwrap(),
        Outcome::Done
    );
    sign_out(&second).await;
    assert_eq!(told(&world).await, (1, 1));
}

#[tokio::test]
async fn security_r12_where_nobody_can_count_the_refresh_token_is_revoked() {
    let (world, first, second) = two().await;
    // The record goes, the user's list changes, and the session's list cannot be read any more.
    let faults = [CommitFault::None, CommitFault::None, CommitFault::Lost];
    world.probe.next_commits(&faults);
    sign_out(&first).await;
    assert_eq!(told(&world).await, (1, 1));
    assert!(is_alive(&second).await);
}

#[tokio::test]
async fn need_10_a_grant_that_outlives_its_session_is_counted_apart() {
    let world = World::with(WorldOptions {
        adjust: |config| {
            let scopes = "openid projects:read projects:write offline_access";
            config.scope_policy.allowed_scopes = Scopes::parse(scopes).expect("scopes");
        },
        ..WorldOptions::default()
    })
    .await;
    let online = connect(&world, "", SESSION).await;
    in_session(&world, SESSION);
    let kernel = world.kernel("alice", "gpu");
    let wish = json!({"scopes": ["openid", "projects:read", "offline_access"]});
    let sign_in = kernel.open_with(&wish).await;
    world.browser("alice").sign_in(&sign_in).await;
    let offline = (kernel.collect(&sign_in).await, kernel);
    sign_out(&(offline.1, offline.0)).await;
    assert_eq!(told(&world).await, (1, 1), "nobody else would end it");
    sign_out(&online).await;
    assert_eq!(told(&world).await, (2, 2));
}

#[tokio::test]
async fn need_10_providers_of_one_registration_count_together_and_others_do_not() {
    let options = WorldOptions {
        providers: vec!["lab-api", "lab-too"],
        ..WorldOptions::default()
    };
    let world = World::with(options).await;
    let first = connect(&world, "", SESSION).await;
    let kernel = world.kernel("alice", "gpu");
    let sign_in = kernel.open_with(&json!({"provider": "lab-too"})).await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    browser.come_back("lab-too", &back).await;
    let second = kernel.collect(&sign_in).await;
    let second = (kernel, second);
    sign_out(&first).await;
    assert_eq!(told(&world).await, (0, 1));
    assert!(is_alive(&second).await);
    sign_out(&second).await;
    assert_eq!(told(&world).await, (1, 2));
}

#[tokio::test]
async fn need_10_an_exchanged_token_is_left_to_its_end_while_others_rest_on_its_session() {
    let (world, first, second) = two().await;
    let (kernel, connection) = &first;
    let exchange = format!("/v1/connections/{}/exchange", connection.id);
    let exchanged = kernel
        .send(
            Method::POST,
            &exchange,
            Some(&json!({"audience": "other-api"})),
        )
        .await;
    let exchanged = exchanged.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let narrower = json!({"scopes": ["openid"]});
    let draw = format!("/v1/connections/{}/token", connection.id);
    let narrower = kernel.send(Method::POST, &draw, Some(&narrower)).await;
    let narrower = narrower.json()["access_token"].as_str().unwrap().to_owned();
    sign_out(&first).await;
    assert_eq!(told(&world).await, (0, 2));
    let revoked = world.provider.revoked();
    assert!(revoked.contains(&narrower) && !revoked.contains(&exchanged));
    assert!(is_alive(&second).await);
}

#[tokio::test]
async fn need_10_a_grant_that_waits_for_its_person_is_one_of_its_session() {
    let world = World::new().await;
    let first = connect(&world, "", SESSION).await;
    // Another account's name makes it ask again.
    let account = Account::new("op-alice-2").claim("sid", SESSION);
    world.provider.sign_in_as(account);
    let kernel = world.kernel("alice", "gpu");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let page = confirmation(&mut browser, &sign_in).await;
    sign_out(&first).await;
    assert_eq!(told(&world).await, (0, 1), "one waits");
    browser.decide("confirm", &page, "cancel").await;
    assert_eq!(told(&world).await, (1, 2), "it was the last");
}

#[tokio::test]
async fn security_i7_a_refused_account_does_not_end_the_grant_of_the_one_whose_it_is() {
    let (world, first, second) = two().await;
    world.hub.log_in_every_browser(Some("mallory"));
    let mallory = world.kernel("mallory", "");
    let sign_in = mallory.open().await;
    world.browser("mallory").sign_in(&sign_in).await;
    assert_eq!(mallory.state(&sign_in).await, "denied");
    assert_eq!(told(&world).await, (0, 1));
    assert!(is_alive(&first).await && is_alive(&second).await);
}
