//! An encryption key is taken out: what it alone opened counts as gone, and is asked for again. Only whose an account is stays
//! closed until the operator says so, and nobody's grant is left behind.

use std::time::Duration;

use http::StatusCode;
use hubkey_domain::{identity::HubUser, provider::IdentityPolicy};
use hubkey_fakes::hostile_provider::Account;
use hubkey_protocol::ProviderId;
use hubkey_store::Key;
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    browser::TestBrowser,
    kernel::{Connected, Opened, TestKernel},
    key_stage::{Backend, KeyStage},
    outcome::{failure, returning, revoked},
    world::WorldOptions,
};

const BACKENDS: [Backend; 2] = [Backend::Memory, Backend::Redis];
const ACCOUNT: &str = "op-alice";

/// Alice is connected, with everything sealed by the first key.
async fn connected(stage: &KeyStage) -> (TestKernel, Connected) {
    stage.world.provider.sign_in_as(Account::new(ACCOUNT));
    let kernel = stage.world.kernel("alice", "");
    let connection = stage.world.connect(&kernel, "alice").await;
    stage.world.provider.forget_requests();
    (kernel, connection)
}

fn owner(stage: &KeyStage) -> Key {
    Key::owner(&stage.world.provider.issuer(), ACCOUNT)
}

fn alice() -> HubUser {
    HubUser::parse("alice").unwrap()
}

fn account_link() -> Key {
    Key::account_link(&alice(), &ProviderId::parse("lab-api").unwrap())
}

/// The page to which a sign-in leads from the provider.
async fn page_after(browser: &mut TestBrowser<'_>, sign_in: &Opened) -> serde_json::Value {
    let back = returning(browser, sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(reply.kind(), "view", "{reply:?}");
    browser.view(reply.flow()).await.page().clone()
}

/// Signs in with the linked account; nobody is asked.
async fn signs_in_unasked(stage: &KeyStage, server: &str) {
    let kernel = stage.world.kernel("alice", server);
    let sign_in = kernel.open().await;
    let mut browser = stage.world.browser("alice");
    let page = page_after(&mut browser, &sign_in).await;
    assert_eq!(page["page"], "done", "{page}");
    kernel.collect(&sign_in).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn found_a11_first_aid_what_a_retired_key_sealed_is_gone_and_connect_opens_a_sign_in() {
    for backend in BACKENDS {
        let stage = KeyStage::new(backend).await;
        let (kernel, connection) = connected(&stage).await;
        let waiting = kernel
            .open_with(&json!({"scopes": ["projects:write"]}))
            .await;
        let repeated = json!({"scopes": ["projects:read"]});
        kernel.create_with_key(&repeated, "key").await;
        stage.leak();

        let token_answer = kernel.get_token(&connection.id, 0).await;
        token_answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
        let exchange = format!("/v1/connections/{}/exchange", connection.id);
        let exchanged = kernel
            .send(
                http::Method::POST,
                &exchange,
                Some(&json!({"audience": "other-api"})),
            )
            .await;
        assert_eq!(exchanged.status, StatusCode::NOT_FOUND, "{backend:?}");
        let polled = kernel.poll(&waiting).await;
        assert_eq!(polled.status, StatusCode::NOT_FOUND, "{backend:?}");
        assert!(kernel.connections().await.is_empty(), "{backend:?}");
        let only = json!({"provider": "lab-api", "interactive": false});
        let existing = kernel.create(&only).await;
        existing.assert_problem(StatusCode::CONFLICT, "sign_in_required");
        // The index and the answer to the same request are written anew, over what is there.
        for _ in 0..2 {
            kernel.open().await;
            let again = kernel.create_with_key(&repeated, "key").await;
            assert_eq!(again.status, StatusCode::CREATED, "{}", again.json());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn found_a11_first_aid_without_pins_the_next_sign_in_is_as_ever() {
    for backend in BACKENDS {
        let options = WorldOptions {
            account_policy: IdentityPolicy::Unchecked,
            ..WorldOptions::default()
        };
        let stage = KeyStage::with(backend, options).await;
        let (kernel, before) = connected(&stage).await;
        stage.leak();
        let after = stage.world.connect(&kernel, "alice").await;
        assert_ne!(after.id, before.id);
        assert_eq!(kernel.connections().await.len(), 1, "{backend:?}");
        let found = kernel.create(&json!({"provider": "lab-api"})).await;
        assert_eq!(found.status, StatusCode::OK, "{}", found.json());
        assert_eq!(found.json()["connection"]["id"], after.id.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn found_a11_first_aid_a_pin_of_a_retired_key_is_asked_for_again() {
    for backend in BACKENDS {
        let stage = KeyStage::new(backend).await;
        let (kernel, _) = connected(&stage).await;
        stage.leak();
        // The owner is clear; the account link is still what it was.
        stage.delete(&owner(&stage)).await;
        let sign_in = kernel.open().await;
        let mut browser = stage.world.browser("alice");
        let page = page_after(&mut browser, &sign_in).await;
        assert_eq!(page["page"], "confirm", "{page}");
        assert_eq!(page["replaces_account"], false);
        let flow = browser.view(page["flow"].as_str().unwrap()).await;
        browser.decide("confirm", &flow, "accept").await;
        kernel.collect(&sign_in).await;
        signs_in_unasked(&stage, "another").await;
    }
}

#[tokio::test]
async fn found_a11_first_aid_an_owner_of_a_retired_key_is_the_operators_to_clear() {
    for backend in BACKENDS {
        let stage = KeyStage::new(backend).await;
        let (kernel, _) = connected(&stage).await;
        let retired = stage.sealed_with(&owner(&stage)).await;
        stage.leak();
        let trail = AuditTrail::begin();
        let sign_in = kernel.open().await;
        let poll = kernel.start_poll(&sign_in);
        let mut browser = stage.world.browser("alice");
        let page = page_after(&mut browser, &sign_in).await;
        assert_eq!(page["page"], "ended", "{page}");
        assert_eq!(page["reason"], "owner_unreadable");
        // The kernel was told in the same step, and what was granted is given back: access token and refresh token.
        poll.await.unwrap();
        assert_eq!(failure(&kernel, &sign_in).await, "owner_unreadable");
        assert_eq!(revoked(&stage.world.provider, 2).await.len(), 2);

        let reference = page["reference"].as_str().unwrap();
        for said in [
            "user=alice".to_owned(),
            "provider=lab-api".to_owned(),
            format!("key_id={retired}"),
            format!("reference={reference}"),
        ] {
            let told = trail.says("owner_unreadable", &said);
            assert!(told, "{said}: {:?}", trail.events());
        }
        assert!(trail.has("grant_ended"), "{:?}", trail.events());
        let warnings = trail.warnings();
        let warning = warnings.iter().find(|line| line.contains("alice"));
        let warning = warning.unwrap_or_else(|| panic!("no line names her: {warnings:?}"));
        for said in ["lab-api", retired.as_str(), reference] {
            assert!(warning.contains(said), "{said}: {warning}");
        }
        assert!(!warning.contains(ACCOUNT), "{warning}");

        // It stays so until the operator clears the record that the line names.
        let next = kernel.open().await;
        assert_eq!(page_after(&mut browser, &next).await["page"], "ended");
        cleared(&stage, warning).await;
        let last = kernel.open().await;
        let page = page_after(&mut browser, &last).await;
        assert_eq!(page["page"], "confirm", "{page}");
    }
}

/// The operator deletes what the log line names; in memory there is no such name, and no way in but a restart.
async fn cleared(stage: &KeyStage, warning: &str) {
    let Some((redis, _)) = &stage.redis else {
        return stage.delete(&owner(stage)).await;
    };
    let name = warning
        .split_whitespace()
        .find_map(|word| word.strip_prefix("record="))
        .unwrap_or_else(|| panic!("no record is named: {warning}"));
    assert!(name.starts_with("hk:{"), "{name}");
    let mut admin = redis.connect().await.unwrap();
    let mut delete = redis::cmd("DEL");
    let deleted: usize = delete.arg(name).query_async(&mut admin).await.unwrap();
    assert_eq!(deleted, 1);
}

#[tokio::test]
async fn found_a11_first_aid_an_owner_of_a_retired_key_lets_nobody_else_in() {
    let stage = KeyStage::new(Backend::Memory).await;
    connected(&stage).await;
    stage.leak();
    let mallory = stage.world.kernel("mallory", "");
    let sign_in = mallory.open().await;
    let mut browser = stage.world.browser("mallory");
    let page = page_after(&mut browser, &sign_in).await;
    assert_eq!(page["reason"], "owner_unreadable", "{page}");
    assert_eq!(failure(&mallory, &sign_in).await, "owner_unreadable");
    assert_eq!(revoked(&stage.world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn found_a11_first_aid_a_key_retired_before_the_click_ends_it_there() {
    let stage = KeyStage::new(Backend::Memory).await;
    connected(&stage).await;
    let held = stage.sealed(&owner(&stage)).await.unwrap();
    stage.leak();
    stage.delete(&owner(&stage)).await;
    let kernel = stage.world.kernel("alice", "another");
    let sign_in = kernel.open().await;
    let mut browser = stage.world.browser("alice");
    let page = page_after(&mut browser, &sign_in).await;
    assert_eq!(page["page"], "confirm", "{page}");
    // Somebody brings the record of the retired key back.
    let flow = browser.view(page["flow"].as_str().unwrap()).await;
    let put = hubkey_store::Change {
        key: owner(&stage),
        expect: hubkey_store::Expect::Absent,
        action: hubkey_store::Action::Put {
            generation: held.generation,
            value: held.value.clone(),
            ttl: Duration::from_hours(1),
            wake: false,
        },
    };
    let _ = stage.bare.commit(vec![put]).await.unwrap();
    let reply = browser.decide("confirm", &flow, "accept").await;
    let ended = browser.view(reply.flow()).await;
    assert_eq!(ended.page()["reason"], "owner_unreadable");
    assert_eq!(failure(&kernel, &sign_in).await, "owner_unreadable");
    assert_eq!(revoked(&stage.world.provider, 2).await.len(), 2);
}

/// An account link is written after its owner was reserved, so one under a key that is held says whose the account is.
#[tokio::test]
async fn found_a11_first_aid_a_pin_that_opens_says_whose_the_account_is() {
    let stage = KeyStage::new(Backend::Memory).await;
    connected(&stage).await;
    let old = stage.sealed(&owner(&stage)).await.unwrap();
    stage.keys(["k2", "k1"]);
    signs_in_unasked(&stage, "another").await;
    stage.restore(&owner(&stage), &old).await;
    stage.leak();
    signs_in_unasked(&stage, "third").await;
    assert_eq!(
        stage.sealed_with(&owner(&stage)).await,
        stage.sealed_with(&account_link()).await
    );
    // Of the account, not of any.
    stage.restore(&owner(&stage), &old).await;
    let mallory = stage.world.kernel("mallory", "");
    let sign_in = mallory.open().await;
    let mut browser = stage.world.browser("mallory");
    let page = page_after(&mut browser, &sign_in).await;
    assert_eq!(page["reason"], "owner_unreadable", "{page}");
}

/// The steps of `docs/how-to/zero-to-jupyterhub.md`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn found_a11_first_aid_rotation_as_documented_loses_nobody() {
    for backend in BACKENDS {
        let stage = KeyStage::new(backend).await;
        let (kernel, connection) = connected(&stage).await;
        let find = async || {
            let found = kernel.create(&json!({"provider": "lab-api"})).await;
            assert_eq!(found.status, StatusCode::OK, "{}", found.json());
            assert_eq!(found.json()["connection"]["id"], connection.id.as_str());
            let token_answer = kernel.get_token(&connection.id, 0).await;
            assert_eq!(
                token_answer.status,
                StatusCode::OK,
                "{}",
                token_answer.json()
            );
        };
        stage.keys(["k1", "k2"]);
        find().await;
        stage.keys(["k2", "k1"]);
        find().await;
        // A person who comes while both keys are there is under the new one afterwards.
        signs_in_unasked(&stage, "another").await;
        for key in [owner(&stage), account_link(), Key::user_index(&alice())] {
            let sealed_with = stage.sealed_with(&key).await;
            let connection = hubkey_protocol::ConnectionId::parse(&connection.id).unwrap();
            let old = stage.sealed_with(&Key::connection(&connection)).await;
            assert_ne!(sealed_with, old, "{key:?}");
        }
        stage.leak();
        signs_in_unasked(&stage, "third").await;
    }
}

/// Who did not come while both keys were there, for as long as an account link lives, has none any more with any key.
#[tokio::test]
async fn found_a11_first_aid_who_stayed_away_for_the_life_of_a_pin_is_asked_once_more() {
    let stage = KeyStage::new(Backend::Memory).await;
    let (kernel, _) = connected(&stage).await;
    stage.keys(["k2", "k1"]);
    let life = Duration::from_hours(400 * 24);
    stage.world.clock.advance(life);
    stage.leak();
    let ahead = i64::try_from(life.as_secs()).unwrap();
    stage.world.provider.id_tokens(move |token| {
        for claim in ["iat", "exp", "auth_time"] {
            token.shift(claim, ahead);
        }
    });
    let sign_in = kernel.open().await;
    let mut browser = stage.world.browser("alice");
    let page = page_after(&mut browser, &sign_in).await;
    assert_eq!(page["page"], "confirm", "{page}");
}
