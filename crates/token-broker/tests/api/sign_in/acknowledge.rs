//! `POST /v1/sign-ins/{nonce}/ack`

use std::time::Duration;

use http::StatusCode;

use crate::support::attempt::opened_by;

#[tokio::test]
async fn security_r18_twice_is_as_good_as_once() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.browser("alice").sign_in(&sign_in).await;
    kernel.poll(&sign_in).await;
    let first = kernel.acknowledge(&sign_in).await;
    assert_eq!(first.status, StatusCode::NO_CONTENT);
    let commits = world.probe.commits();
    assert_eq!(kernel.acknowledge(&sign_in).await, first);
    assert_eq!(world.probe.commits(), commits, "nothing was left to do");
    let poll = kernel.poll(&sign_in).await;
    poll.assert_problem(StatusCode::GONE, "already_delivered");
    world.clock.advance(Duration::from_secs(181));
    let forgotten = kernel.acknowledge(&sign_in).await;
    forgotten.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn security_r18_what_was_not_delivered_cannot_be_acknowledged() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let before = world.traces();
    let early = kernel.acknowledge(&sign_in).await;
    early.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(world.traces(), before);
    world.browser("alice").sign_in(&sign_in).await;
    let before = world.traces();
    let unseen = kernel.acknowledge(&sign_in).await;
    unseen.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(world.traces(), before);
    kernel.collect(&sign_in).await;
}
