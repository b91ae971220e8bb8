//! `POST /v1/connections/{id}/exchange` for the token that Keycloak has stored of a provider behind it.

use std::time::Duration;

use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Account, Endpoint},
};
use serde_json::json;

use super::exchange::{asked, exchange_at};
use crate::support::{
    kernel::{Connected, TestKernel},
    refresh_stage::{ENDED, token},
    world::{World, WorldOptions},
};

#[tokio::test]
async fn feature_g1_the_token_of_a_provider_behind_is_read_where_it_is_stored() {
    let world = World::with(WorldOptions {
        providers: vec!["brokering"],
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let connection = connected_to_brokering(&world, &kernel, "alice").await;
    let answer = exchange_at(&kernel, &connection, json!({"requested_issuer": "github"})).await;
    let stored = token(&answer);
    assert!(stored.starts_with("github."), "{stored}");
    assert!(!answer.text().contains("refresh"), "{}", answer.text());
    let left = answer.json()["expires_at"].as_u64().unwrap();
    assert!(
        left >= world.backends.clock.now().as_secs() + 200,
        "not as `expires_in` says"
    );
    let [request] = world
        .provider
        .requests(Endpoint::BrokerToken)
        .try_into()
        .unwrap();
    let bearer = request.token_of_scheme("Bearer");
    assert_eq!(bearer, Some(connection.access_token.as_str()));
    assert_eq!(asked(&world).len(), 0);
    let narrow = json!({"requested_issuer": "github", "scopes": ["projects:read"]});
    let narrow = exchange_at(&kernel, &connection, narrow).await;
    narrow.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
    world.provider.grants().refuse_target("github");
    world.clock.advance(ENDED);
    let refused = exchange_at(&kernel, &connection, json!({"requested_issuer": "github"})).await;
    refused.assert_problem(StatusCode::FORBIDDEN, "invalid_target");
    let out = kernel
        .send(
            Method::DELETE,
            &format!("/v1/connections/{}", connection.id),
            None,
        )
        .await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    world.broker.finish(Duration::from_secs(10)).await;
    assert!(
        !world.provider.revoked().contains(&stored),
        "another provider's token was shown"
    );
}

/// Keycloak answers 502 where the provider behind it is away, and where it knows none of that name.
#[tokio::test]
async fn feature_f4_a_provider_behind_that_is_away_harms_no_other_one() {
    let world = World::with(WorldOptions {
        providers: vec!["brokering"],
        ..WorldOptions::default()
    })
    .await;
    let github = || json!({"requested_issuer": "github"});
    world
        .provider
        .answer(Endpoint::BrokerToken, Reply::new(StatusCode::BAD_GATEWAY));
    let mut last = None;
    for number in 0..7 {
        let name = format!("person-{number}");
        world
            .provider
            .sign_in_as(Account::new(&format!("op-{name}")));
        let kernel = world.kernel(&name, "");
        let connection = connected_to_brokering(&world, &kernel, &name).await;
        let away = exchange_at(&kernel, &connection, github()).await;
        away.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
        last = Some((kernel, connection));
    }
    assert_eq!(world.provider.hits(Endpoint::BrokerToken), 7);
    world.provider.be_honest();
    let (kernel, connection) = last.unwrap();
    let other = exchange_at(&kernel, &connection, json!({"requested_issuer": "gitlab"})).await;
    assert!(token(&other).starts_with("gitlab."));
}

async fn connected_to_brokering(world: &World, kernel: &TestKernel, user: &str) -> Connected {
    let sign_in = kernel.open_with(&json!({})).await;
    let mut browser = world.browser(user);
    let at_provider = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(at_provider.location()).await;
    browser.come_back("brokering", &back).await;
    kernel.collect(&sign_in).await
}
