//! What every step of an attack must leave behind.

use std::{collections::BTreeSet, time::Duration};

use hubkey_fakes::hostile_provider::{Account, Endpoint, HostileProvider};
use serde_json::json;
use url::Url;

use crate::support::{
    audit::AuditTrail,
    browser::{Reply, TestBrowser},
    kernel::{Opened, TestKernel},
    world::World,
};

/// A refusal of this kind that hands the browser nothing that authenticates it.
pub(crate) fn assert_refused(reply: &Reply, refusal: &str) {
    assert_eq!(reply.kind(), "refused", "{reply:?}");
    assert_eq!(reply.refusal(), refusal, "{reply:?}");
    assert!(reply.0["set_cookie"].is_null(), "{reply:?}");
}

/// How often the usual provider was sent a code.
pub(crate) fn exchanges(world: &World) -> usize {
    world.provider.hits(Endpoint::Token)
}

pub(crate) fn assert_told(trail: &AuditTrail, event: &str) {
    assert!(trail.has(event), "{event} is missing: {:?}", trail.events());
}

/// The kernel has nothing and gets nothing without a person.
pub(crate) async fn assert_no_connection(kernel: &TestKernel) {
    let answer = kernel
        .create(&json!({"provider": "lab-api", "interactive": false}))
        .await;
    assert_eq!(answer.code(), "sign_in_required", "{}", answer.json());
}

/// The `reason` of a sign-in that failed.
pub(crate) async fn failure(kernel: &TestKernel, sign_in: &Opened) -> String {
    let answer = kernel.poll(sign_in).await.json();
    assert_eq!(answer["status"], "failed", "{answer}");
    answer["reason"].as_str().expect("a reason").to_owned()
}

/// Signs in from the named server of a user, so that the account is linked.
pub(crate) async fn link_account(world: &World, user: &str, sub: &str) {
    world.provider.sign_in_as(Account::new(sub));
    let kernel = world.kernel(user, "earlier");
    let sign_in = kernel.open().await;
    world.browser(user).sign_in(&sign_in).await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
    world.provider.forget_requests();
}

/// Leads a browser to the point where the provider has sent it back.
pub(crate) async fn returning(browser: &mut TestBrowser<'_>, sign_in: &Opened) -> Url {
    let leaving = browser.go_to_provider(sign_in).await;
    browser.at_provider(leaving.location()).await
}

/// Leads a browser to the confirmation page.
pub(crate) async fn confirmation(browser: &mut TestBrowser<'_>, sign_in: &Opened) -> Reply {
    let back = returning(browser, sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "confirm", "{page:?}");
    page
}

/// Waits until the provider was asked to forget so many tokens.
pub(crate) async fn revoked(provider: &HostileProvider, count: usize) -> BTreeSet<String> {
    for _ in 0..300 {
        let revoked: BTreeSet<_> = provider.revoked().into_iter().collect();
        if revoked.len() >= count {
            return revoked;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the provider was not asked to forget {count} tokens");
}
