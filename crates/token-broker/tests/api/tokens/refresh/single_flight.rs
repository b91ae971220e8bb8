//! Tokens that stay valid: when a token is refreshed, and that it is refreshed once.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use http::{Method, StatusCode};
use hubkey_domain::provider::IdentityPolicy;
use hubkey_fakes::hostile_provider::{Endpoint, Rotation};
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    refresh_stage::{DUE, ENDED, Jump, Stage, token},
    world::{World, WorldOptions},
};

#[tokio::test]
async fn feature_f1_an_ended_token_is_replaced_without_a_person() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    let first = stage.token(0).await;
    assert_eq!(first, stage.connection.access_token);
    let mut seen = BTreeSet::from([first]);
    for round in 1..=2 {
        stage.advance(ENDED);
        let now = stage.token(60).await;
        assert!(seen.insert(now.clone()), "an old token came again");
        assert_eq!(stage.token(60).await, now);
        assert_eq!(stage.world.provider.grants().refreshes(), round);
    }
    assert!(trail.has("token_refreshed"));
    assert_eq!(stage.world.provider.grants().reuses(), 0);
    let listed = &stage.kernel.connections().await[0];
    let ends = listed["expires_at"].as_u64().unwrap();
    assert_eq!(stage.get_token(0).await.json()["expires_at"], ends);
}

#[tokio::test]
async fn feature_f6_a_token_is_refreshed_only_if_less_than_asked_for_is_left() {
    let stage = Stage::new().await;
    let first = stage.token(250).await;
    stage.advance(Duration::from_secs(150));
    assert_eq!(stage.token(100).await, first);
    assert_eq!(stage.asked(), 0);
    assert_ne!(stage.token(200).await, first);
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn need_1_what_no_token_can_do_is_said_and_asks_nobody() {
    let stage = Stage::new().await;
    stage.advance(Duration::from_secs(100));
    let long = stage.get_token(271).await;
    long.assert_problem(StatusCode::CONFLICT, "token_lifetime_too_short");
    assert!(long.text().contains("270 seconds"), "{}", long.text());
    stage.advance(ENDED);
    let long = stage.get_token(u64::MAX).await;
    long.assert_problem(StatusCode::CONFLICT, "token_lifetime_too_short");
    assert_eq!(stage.asked(), 0);
    stage.token(270).await;
}

#[tokio::test]
async fn a_token_is_refreshed_ahead_of_its_end() {
    let stage = Stage::new().await;
    stage.advance(Duration::from_secs(200));
    assert_eq!(stage.token(0).await, stage.connection.access_token);
    stage.advance(Duration::from_secs(70));
    assert_ne!(stage.token(0).await, stage.connection.access_token);
}

#[tokio::test]
async fn feature_f7_g2_an_opaque_token_without_an_end_is_replaced_now_and_then() {
    let stage = Stage::new().await;
    let without = |answer: &mut serde_json::Value| {
        answer.as_object_mut().unwrap().remove("expires_in");
    };
    stage.world.provider.token_responses(without);
    stage.advance(ENDED);
    let first = stage.token(60).await;
    assert!(stage.get_token(60).await.json().get("expires_at").is_none());
    stage.advance(Duration::from_secs(290));
    assert_eq!(stage.token(60).await, first);
    stage.advance(Duration::from_secs(11));
    assert_ne!(stage.token(60).await, first);
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn security_r1_refresh_tokens_rotate_or_stay_as_the_provider_says() {
    for (rotation, tokens) in [
        (Rotation::Strict, 3),
        (Rotation::Lenient, 3),
        (Rotation::Keep, 1),
        (Rotation::Same, 1),
    ] {
        let stage = Stage::new().await;
        stage.world.provider.grants().rotate(rotation);
        for _ in 0..3 {
            stage.advance(DUE);
            stage.token(60).await;
        }
        assert_eq!(stage.uses().len(), tokens, "{rotation:?}");
        assert_eq!(stage.asked(), 3, "{rotation:?}");
        assert_eq!(stage.world.provider.grants().reuses(), 0);
    }
}

#[tokio::test]
async fn feature_f2_no_refresh_token_reaches_a_kernel() {
    let stage = Stage::new().await;
    stage.advance(ENDED);
    let answers = [
        stage.get_token(0).await,
        stage.kernel.create(&json!({})).await,
        stage
            .kernel
            .send(Method::GET, "/v1/connections", None)
            .await,
    ];
    assert_eq!(stage.asked(), 1);
    for answer in &answers {
        // Whether there is one is said, and nothing else of it.
        let text = answer.text().replace(r#""refreshable":true"#, "");
        assert!(!text.contains("refresh"), "{text}");
        for used in stage.uses().keys() {
            assert!(!answer.text().contains(used));
        }
    }
}

#[tokio::test]
async fn feature_a13_an_ended_connection_that_can_be_refreshed_needs_no_sign_in() {
    let stage = Stage::new().await;
    stage.advance(ENDED);
    let again = stage.kernel.create(&json!({})).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    assert_eq!(again.json()["connection"]["id"], stage.connection.id);
    let answer = again.json()["token"]["access_token"].clone();
    assert_eq!(answer, stage.token(0).await);
}

#[tokio::test]
async fn security_r2_many_kernels_at_four_replicas_refresh_once_on_memory() {
    refresh_once(&Stage::new().await).await;
}

#[tokio::test]
async fn security_r2_many_kernels_at_four_replicas_refresh_once_on_redis() {
    refresh_once(&Stage::on_redis().await).await;
}

#[tokio::test]
async fn feature_f3_twenty_reads_at_an_end_cost_one_grant_that_is_stored_before_anybody_has_it() {
    for stage in [Stage::new().await, Stage::on_redis().await] {
        stage.advance(ENDED);
        let mut draws: FuturesUnordered<_> = (0..20).map(|_| stage.get_token(0)).collect();
        let first = token(&draws.next().await.unwrap());
        assert!(stage.stored(&first).await, "it is not in the store yet");
        while let Some(answer) = draws.next().await {
            assert_eq!(token(&answer), first);
        }
        assert_eq!(stage.asked(), 1);
        stage.advance(ENDED);
        assert_ne!(stage.token(0).await, first);
        assert_eq!(stage.uses().into_values().collect::<Vec<_>>(), [1, 1]);
        assert_eq!(stage.world.provider.grants().reuses(), 0);
    }
}

async fn refresh_once(stage: &Stage) {
    let replicas: Vec<_> = (0..4).map(|_| stage.at(stage.world.replica())).collect();
    for time in [DUE, ENDED] {
        let before = stage.world.provider.grants().refreshes();
        stage.advance(time);
        let draws = (0..200).map(|kernel| replicas[kernel % 4].get_token(&stage.connection.id, 30));
        let tokens: BTreeSet<_> = join_all(draws).await.iter().map(token).collect();
        assert_eq!(stage.world.provider.grants().refreshes() - before, 1);
        assert_eq!(stage.world.provider.grants().reuses(), 0);
        if time == ENDED {
            assert_eq!(tokens.len(), 1, "somebody got an ended token");
        }
    }
    assert!(stage.uses().values().all(|uses| *uses == 1));
}

/// Ahead costs a refresh that was not needed; back must not give an ended token another hour.
#[tokio::test]
async fn security_r10_a_clock_that_jumps_by_an_hour_neither_prolongs_a_token_nor_ends_a_connection()
{
    let hour = Duration::from_hours(1);
    let stage = Stage::new().await;
    let path = format!("/v1/connections/{}/exchange", stage.connection.id);
    let exchanged = async || {
        let body = json!({"audience": "other-api"});
        token(&stage.kernel.send(Method::POST, &path, Some(&body)).await)
    };
    let mut seen = BTreeSet::from([stage.token(0).await, exchanged().await]);
    stage.advance(ENDED);
    for (round, jump) in [Jump::Back(hour), Jump::Ahead(hour)]
        .into_iter()
        .enumerate()
    {
        stage.jump(jump);
        let (own, other) = (stage.token(0).await, exchanged().await);
        assert!(seen.insert(own.clone()), "{jump:?}: an ended token");
        assert!(
            seen.insert(other.clone()),
            "{jump:?}: an ended token of another API"
        );
        assert_eq!(stage.token(0).await, own, "{jump:?}: once");
        assert_eq!(exchanged().await, other, "{jump:?}: once");
        assert_eq!(stage.asked(), round + 1, "{jump:?}");
        assert_eq!(stage.kernel.connections().await.len(), 1, "{jump:?}");
    }
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn need_9_a_connection_lives_for_as_long_as_a_kernel_uses_it() {
    let stage = Stage::new().await;
    let life = stage.world.backends.rules.connection_lifetime;
    stage
        .world
        .provider
        .token_responses(|answer| answer["expires_in"] = json!(400_000));
    stage.advance(ENDED);
    stage.token(0).await;
    for _ in 0..4 {
        stage.advance(life / 2);
        stage.token(0).await;
        // It is written beside the answer.
        stage.world.broker.finish(Duration::from_secs(10)).await;
        assert_eq!(stage.kernel.connections().await.len(), 1);
    }
    stage.advance(life);
    let ended = stage.get_token(0).await;
    ended.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

/// Google gives a refresh token only for parameters of its own.
#[tokio::test]
async fn feature_f8_a_connection_without_a_refresh_token_says_so() {
    let world = World::with(WorldOptions {
        account_policy: IdentityPolicy::Unchecked,
        adjust: |config| {
            config.extra_authorization_parameters =
                [("access_type", "offline"), ("prompt", "consent")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into();
        },
        ..WorldOptions::default()
    })
    .await;
    let (once, lasting) = (world.kernel("alice", ""), world.kernel("alice", "second"));
    world.connect(&lasting, "alice").await;
    let asked = world.provider.requests(Endpoint::Authorize).pop().unwrap();
    for (name, value) in [("access_type", "offline"), ("prompt", "consent")] {
        assert_eq!(asked.query_value(name).as_deref(), Some(value), "{name}");
    }
    world.provider.token_responses(|answer| {
        answer.as_object_mut().unwrap().remove("refresh_token");
    });
    world.connect(&once, "alice").await;
    assert_eq!(lasting.connections().await[0]["refreshable"], true);
    assert_eq!(once.connections().await[0]["refreshable"], false);
}
