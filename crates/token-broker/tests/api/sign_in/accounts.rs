//! Several accounts of one person at a provider, and more scopes than a connection has.

use http::StatusCode;
use hubkey_fakes::hostile_provider::Account;
use serde_json::{Value, json};
use url::Url;

use crate::support::{
    browser::parameter,
    kernel::{Connected, Opened, TestKernel, connected},
    outcome::{returning, revoked},
    world::World,
};

/// Signs in as this account; gives the authorize URL and the connection.
async fn connect(world: &World, kernel: &TestKernel, body: &Value, sub: &str) -> (Url, Connected) {
    world.provider.sign_in_as(Account::new(sub));
    let sign_in = kernel.open_with(body).await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(leaving.location()).await;
    let reply = browser.come_back("lab-api", &back).await;
    assert_eq!(reply.kind(), "view", "{reply:?}");
    let url = Url::parse(leaving.location()).unwrap();
    (url, kernel.collect(&sign_in).await)
}

#[tokio::test]
async fn feature_a12_two_accounts_of_one_person_stand_beside_each_other() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let (work, private) = (json!({"account": "work"}), json!({"account": "private"}));
    let (plain_url, plain) = connect(&world, &kernel, &json!({}), "work").await;
    assert_eq!(parameter(&plain_url, "login_hint"), None);
    let found = kernel.create(&work).await;
    assert_eq!(connected(&found.json()), plain, "it is of that account");
    let (url, second) = connect(&world, &kernel, &private, "private").await;
    assert_eq!(parameter(&url, "login_hint").as_deref(), Some("private"));
    assert_ne!(second.id, plain.id);
    for (asked, wanted) in [(&work, &plain), (&private, &second), (&work, &plain)] {
        let answer = kernel.create(asked).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(connected(&answer.json()), *wanted);
    }
    let third = kernel.create(&json!({"account": "third"})).await;
    assert_eq!(third.status, StatusCode::CREATED);
    // The account that notebooks without a name get is the one that it was.
    let other = world.kernel("alice", "gpu");
    world.provider.sign_in_as(Account::new("work"));
    let sign_in = other.open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(browser.view(reply.flow()).await.page()["page"], "done");
}

#[tokio::test]
async fn security_b8_another_account_than_was_asked_for_is_refused() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    world.provider.sign_in_as(Account::new("private"));
    let sign_in = kernel.open_with(&json!({"account": "work"})).await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["reason"], "account_differs", "{page:?}");
    assert_eq!(kernel.state(&sign_in).await, "denied");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
    for unusable in ["", "a\nb", &"a".repeat(257)] {
        let refused = kernel.create(&json!({"account": unusable})).await;
        refused.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
    }
}

fn more(answer: &Value) -> &Value {
    &answer["more_scopes"]
}

#[tokio::test]
async fn feature_a9_need_7_more_scopes_are_asked_for_beside_those_that_are_there() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let read = json!({"scopes": ["openid", "projects:read"]});
    let write = json!({"scopes": ["projects:write"]});
    let (_, old) = connect(&world, &kernel, &read, "op-alice").await;

    let opened = kernel.create(&write).await;
    assert_eq!(opened.status, StatusCode::CREATED);
    assert_eq!(*more(&opened.json()), json!(["projects:write"]));
    assert_eq!(kernel.get_token(&old.id, 0).await.status, StatusCode::OK);
    let (url, new) = connect(&world, &kernel, &write, "op-alice").await;
    let asked = parameter(&url, "scope").unwrap();
    let mut asked: Vec<_> = asked.split(' ').collect();
    asked.sort_unstable();
    assert_eq!(asked, ["openid", "projects:read", "projects:write"]);

    assert_eq!(kernel.get_token(&old.id, 0).await.status, StatusCode::OK);
    for fits in [&read, &write] {
        let answer = kernel.create(fits).await;
        assert_eq!(connected(&answer.json()), new, "the new one can do both");
    }
    // Asked for again, the words are the same: they do not grow.
    let fresh = world.kernel("alice", "gpu");
    let (url, _) = connect(&world, &fresh, &write, "op-alice").await;
    let asked = parameter(&url, "scope").unwrap();
    assert!(!asked.contains("projects:read"), "{asked}");
}

#[tokio::test]
async fn without_a_connection_there_is_nothing_more() {
    let world = World::new().await;
    let opened = world.kernel("alice", "").create(&json!({})).await.json();
    assert!(more(&opened).is_null());
    let opened: Opened = crate::support::kernel::opened(&opened);
    assert!(opened.sign_in_url.contains("/start/"));
}
