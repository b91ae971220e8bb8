//! What one hub user's loop may cost the Hub and a provider.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use hubkey_domain::user_index::OpenLimits;
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::Endpoint,
    scripted_hub::{Fault, HubEndpoint},
};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    kernel::TestKernel,
    refresh_stage::Stage,
    world::{Answer, World, WorldOptions},
};

fn shares(world: &World) -> usize {
    world.hub.hits(HubEndpoint::Shares)
}

async fn userinfo(kernel: &TestKernel, connection: &str) -> Answer {
    let path = format!("/v1/connections/{connection}/userinfo");
    kernel.send(Method::GET, &path, None).await
}

#[tokio::test]
async fn found_f2_first_aid_the_limit_comes_before_the_question_about_shares() {
    let world = World::new().await;
    let mallory = world.kernel("mallory", "");
    for _ in 0..10 {
        mallory.open().await;
    }
    world.clock.advance(Duration::from_secs(10));
    let before = shares(&world);
    for _ in 0..20 {
        let answer = mallory.create(&json!({})).await;
        answer.assert_problem(StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins");
        world.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(shares(&world), before);
}

#[tokio::test]
async fn found_f2_first_aid_a_repeated_request_is_answered_beyond_the_limit_too() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let first = kernel.create_with_key(&json!({}), "key-1").await;
    for _ in 0..9 {
        kernel.open().await;
    }
    let again = kernel.create_with_key(&json!({}), "key-1").await;
    assert_eq!(
        (again.status, again.json()),
        (StatusCode::CREATED, first.json())
    );
}

#[tokio::test]
async fn found_f2_first_aid_what_the_hub_says_of_shares_is_remembered_for_seconds() {
    let world = World::new().await;
    let (alice, gpu) = (world.kernel("alice", ""), world.kernel("alice", "gpu"));
    for _ in 0..4 {
        alice.open().await;
    }
    assert_eq!(shares(&world), 1);
    gpu.open().await;
    assert_eq!(shares(&world), 2, "each server by itself");
    world.clock.advance(Duration::from_secs(5));
    alice.open().await;
    assert_eq!(shares(&world), 3);
}

#[tokio::test]
async fn found_f2_first_aid_one_question_about_shares_is_under_way_for_a_server() {
    let world = World::new().await;
    world.hub.fault(Fault::Slow(Duration::from_millis(200)));
    let alice = world.kernel("alice", "");
    let body = json!({"provider": "lab-api"});
    let answers = join_all((0..30).map(|_| alice.create(&body))).await;
    let opened = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED);
    assert!(opened.count() >= 1);
    assert_eq!(shares(&world), 1);
}

/// Whoever hangs up has bought one question, not one for each time.
#[tokio::test]
async fn found_f2_first_aid_who_hangs_up_buys_no_second_question_about_shares() {
    let world = World::new().await;
    let alice = world.kernel("alice", "");
    let never = Reply::new(StatusCode::OK).paced(Pace::After(Duration::from_secs(2)));
    world.hub.answer(HubEndpoint::Shares, never);
    for _ in 0..10 {
        let call = alice.open();
        timeout(Duration::from_millis(50), call).await.unwrap_err();
    }
    assert_eq!(shares(&world), 1);
}

/// A notebook that connects in a loop, on two servers: others find the Hub free.
#[tokio::test]
async fn found_f2_first_aid_a_loop_of_connect_asks_the_hub_at_a_pace() {
    let world = World::new().await;
    let kernels = ["", "gpu"].map(|server| world.kernel("mallory", server));
    let body = json!({"interactive": false});
    for kernel in &kernels {
        kernel.create(&body).await;
    }
    let before = world.hub.hits(HubEndpoint::User);
    let end = Instant::now() + Duration::from_secs(2);
    let loops = kernels.iter().map(|kernel| async {
        while Instant::now() < end {
            let answer = kernel.create(&body).await;
            answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        }
    });
    join_all(loops).await;
    let asked = world.hub.hits(HubEndpoint::User) - before;
    assert!(asked <= 40 + 10 + 2, "{asked} questions in two seconds");
    // Somebody else waits for nothing of that.
    let begun = Instant::now();
    world.kernel("alice", "").create(&body).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// A thousand kernels that start at once are no loop.
#[tokio::test]
async fn found_f2_first_aid_a_thousand_kernels_that_start_at_once_are_served() {
    let world = World::new().await;
    let body = json!({"provider": "lab-api"});
    let begun = Instant::now();
    // Of 500 people; each has two in one server.
    let kernels: Vec<_> = (0..500)
        .map(|number| world.kernel(&format!("user-{number}"), ""))
        .collect();
    let answers = join_all(
        kernels
            .iter()
            .chain(&kernels)
            .map(|kernel| kernel.create(&body)),
    )
    .await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn found_f2_first_aid_a_loop_of_userinfo_asks_the_provider_once() {
    let stage = Stage::new().await;
    let provider = &stage.world.provider;
    let before = provider.hits(Endpoint::UserInfo);
    let all = join_all((0..50).map(|_| userinfo(&stage.kernel, &stage.connection.id))).await;
    for answer in all {
        assert_eq!(answer.status, StatusCode::OK);
    }
    for _ in 0..50 {
        userinfo(&stage.kernel, &stage.connection.id).await;
    }
    assert_eq!(provider.hits(Endpoint::UserInfo), before + 1);
    stage.advance(Duration::from_secs(5));
    userinfo(&stage.kernel, &stage.connection.id).await;
    assert_eq!(provider.hits(Endpoint::UserInfo), before + 2);
}

/// Neither does a loop over an endpoint that refuses.
#[tokio::test]
async fn found_f2_first_aid_a_loop_of_refused_userinfo_asks_the_provider_once() {
    let stage = Stage::new().await;
    let provider = &stage.world.provider;
    provider.answer(Endpoint::UserInfo, Reply::new(StatusCode::FORBIDDEN));
    let before = provider.hits(Endpoint::UserInfo);
    for _ in 0..20 {
        let answer = userinfo(&stage.kernel, &stage.connection.id).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, "userinfo_refused");
    }
    assert_eq!(provider.hits(Endpoint::UserInfo), before + 1);
}

/// Forty connections whose userinfo hangs; a sign-in and a refresh need the same provider.
#[tokio::test]
async fn found_f2_first_aid_userinfo_that_hangs_keeps_nobody_from_the_token_endpoint() {
    let stage = Stage::with(WorldOptions {
        open: OpenLimits {
            open: 10,
            per_minute: 100,
        },
        ..WorldOptions::default()
    })
    .await;
    let mut connected = Vec::new();
    for number in 0..40 {
        let kernel = stage.world.kernel("alice", &format!("s{number}"));
        let connection = stage.world.connect(&kernel, "alice").await;
        connected.push((kernel, connection));
    }
    let never = Reply::new(StatusCode::OK).paced(Pace::Never);
    stage.world.provider.answer(Endpoint::UserInfo, never);
    let hanging: Vec<_> = connected
        .into_iter()
        .map(|(kernel, connection)| {
            tokio::spawn(async move { userinfo(&kernel, &connection.id).await })
        })
        .collect();
    sleep(Duration::from_millis(300)).await;
    let kernel = stage.world.kernel("alice", "another");
    let sign_in = stage.world.connect(&kernel, "alice");
    timeout(Duration::from_secs(5), sign_in).await.unwrap();
    for one in hanging {
        one.abort();
    }
}
