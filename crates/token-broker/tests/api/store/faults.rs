//! A store that fails: no answer that promises anything, and nothing half done (invariant I6).

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    attempt::opened_by,
    audit::AuditTrail,
    probe::CommitFault,
    world::{Answer, World},
};

fn assert_unavailable(answer: &Answer) {
    answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
    assert!(
        !answer.text().contains("the test said so"),
        "the cause stays inside"
    );
}

#[tokio::test]
async fn security_i6_while_the_store_is_down_every_request_is_refused_and_recovers_by_itself() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let wider = json!({"scopes": ["projects:write"]});
    let sign_in = kernel.open_with(&wider).await;
    let before = world.traces();
    world.probe.set_down(true);
    let answers = [
        kernel.create(&json!({})).await,
        kernel.create(&wider).await,
        kernel.create_with_key(&wider, "key").await,
        kernel.poll(&sign_in).await,
        kernel.acknowledge(&sign_in).await,
        kernel.cancel(&sign_in).await,
        kernel.get_token(&connection.id, 0).await,
        kernel.send(Method::GET, "/v1/connections", None).await,
    ];
    for answer in &answers {
        assert_unavailable(answer);
        assert!(!answer.text().contains(&connection.access_token));
    }
    let providers = kernel.send(Method::GET, "/v1/providers", None).await;
    assert_eq!(providers.status, StatusCode::OK, "needs no store");
    world.probe.set_down(false);
    assert_eq!(world.traces(), before);
    assert_eq!(kernel.state(&sign_in).await, "pending");
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn security_i6_a_store_that_fails_under_a_poll_ends_it() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let poll = kernel.start_poll(&sign_in);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    world.probe.set_down(true);
    assert_unavailable(&poll.await.unwrap());
    world.probe.set_down(false);
    assert_eq!(kernel.state(&sign_in).await, "pending");
}

#[tokio::test]
async fn security_i6_a_delivery_that_is_not_written_down_is_none() {
    use CommitFault::{AnswerLost, Lost, None as Fine};
    for fault in [Lost, AnswerLost] {
        let trail = AuditTrail::begin();
        let world = World::new().await;
        let kernel = world.kernel("alice", "");
        let sign_in = kernel.open().await;
        world.browser("alice").sign_in(&sign_in).await;
        // The first commit makes this poll the newest one, the second is the delivery.
        world.probe.next_commits(&[Fine, fault]);
        let failed = kernel.poll(&sign_in).await;
        assert_unavailable(&failed);
        assert!(!failed.text().contains("access_token"));
        assert!(!trail.has("token_delivered"), "{fault:?}");
        kernel.collect(&sign_in).await;
    }
}

#[tokio::test]
async fn security_i6_an_acknowledgement_or_an_end_that_got_lost_is_repeated() {
    for fault in [CommitFault::Lost, CommitFault::AnswerLost] {
        let trail = AuditTrail::begin();
        let world = World::new().await;
        let kernel = world.kernel("alice", "");
        let (done, given_up) = (
            kernel.open().await,
            kernel
                .open_with(&json!({"scopes": ["projects:write"]}))
                .await,
        );
        world.browser("alice").sign_in(&done).await;
        kernel.poll(&done).await;
        world.probe.next_commits(&[fault]);
        assert_unavailable(&kernel.acknowledge(&done).await);
        assert_eq!(
            kernel.acknowledge(&done).await.status,
            StatusCode::NO_CONTENT
        );
        world.probe.next_commits(&[fault]);
        assert_unavailable(&kernel.cancel(&given_up).await);
        assert!(!trail.has("sign_in_cancelled"), "{fault:?}");
        assert_eq!(
            kernel.cancel(&given_up).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(kernel.state(&given_up).await, "denied");
    }
}

#[tokio::test]
async fn an_end_that_another_change_overtook_is_tried_again() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let (done, given_up) = (
        kernel.open().await,
        kernel
            .open_with(&json!({"scopes": ["projects:write"]}))
            .await,
    );
    world.browser("alice").sign_in(&done).await;
    kernel.poll(&done).await;
    world.probe.next_commits(&[CommitFault::Overtaken]);
    let acknowledged = kernel.acknowledge(&done).await;
    assert_eq!(acknowledged.status, StatusCode::NO_CONTENT);
    world.probe.next_commits(&[CommitFault::Overtaken]);
    let cancelled = kernel.cancel(&given_up).await;
    assert_eq!(cancelled.status, StatusCode::NO_CONTENT);
    assert_eq!(kernel.state(&given_up).await, "denied");
    let told = trail.events();
    let told = told
        .iter()
        .filter(|event| event.starts_with("sign_in_cancelled"));
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn security_i6_a_request_that_is_overtaken_again_and_again_opens_nothing() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let mut faults = vec![CommitFault::None];
    faults.extend([CommitFault::Overtaken; 8]);
    world.probe.next_commits(&faults);
    let answer = kernel.create(&json!({})).await;
    answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
    assert!(!trail.has("sign_in_started"));
    for _ in 0..10 {
        kernel.open().await;
    }
}
