//! `DELETE /v1/sign-ins/{nonce}`

use http::StatusCode;
use hubkey_fakes::hostile_provider::Endpoint;

use crate::support::attempt::{Attempt, opened_by};

#[tokio::test]
async fn need_13_a_cancelled_sign_in_is_over_for_kernel_and_browser() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    let first = kernel.cancel(&sign_in).await;
    assert_eq!(first.status, StatusCode::NO_CONTENT);
    assert_eq!(
        kernel.cancel(&sign_in).await,
        first,
        "twice is as good as once"
    );
    assert_eq!(kernel.state(&sign_in).await, "denied");
    let link = world.browser("alice").start(sign_in.ticket()).await;
    assert_eq!(link.refusal(), "invalid_link");
    assert!(trail.has("sign_in_cancelled"));
}

#[tokio::test]
async fn need_13_a_browser_on_its_way_finds_the_sign_in_cancelled() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(leaving.location()).await;
    kernel.cancel(&sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(reply.kind(), "refused", "{reply:?}");
    assert_eq!(
        world.provider.hits(Endpoint::Token),
        0,
        "the code was not redeemed"
    );
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert!(kernel.connections().await.is_empty());
}

#[tokio::test]
async fn need_13_a_cancelled_confirmation_gives_its_tokens_back() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(leaving.location()).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "confirm");
    kernel.cancel(&sign_in).await;
    let reply = browser.decide("confirm", &page, "accept").await;
    assert_eq!(reply.kind(), "refused", "{reply:?}");
    assert!(kernel.connections().await.is_empty());
    for _ in 0..50 {
        if !world.provider.revoked().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nothing was revoked at the provider");
}

#[tokio::test]
async fn a_finished_sign_in_stays_as_it_is() {
    let (world, kernel, sign_in) = opened_by("alice").await;
    world.browser("alice").sign_in(&sign_in).await;
    let before = world.traces();
    let answer = kernel.cancel(&sign_in).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(world.traces(), before);
    kernel.collect(&sign_in).await;
}
