//! `GET /v1/connections`

use std::time::Duration;

use http::StatusCode;
use hubkey_fakes::hostile_provider::Account;
use serde_json::json;

use crate::support::world::World;

#[tokio::test]
async fn security_k10_a_restarted_server_sees_nothing_of_the_one_before() {
    let world = World::new().await;
    let before = world.kernel("alice", "");
    let connection = world.connect(&before, "alice").await;
    world.hub.revoke(&before.token);
    let after = world.kernel("alice", "");
    assert!(after.connections().await.is_empty());
    let traces = world.traces();
    let old = after.get_token(&connection.id, 0).await;
    old.assert_problem(StatusCode::NOT_FOUND, "not_found");
    let unknown = after.get_token("abcdef.AAAAAAAAAAAAAAAAAAAAAA", 0).await;
    assert_eq!(old, unknown);
    let headless = after.create(&json!({"interactive": false})).await;
    headless.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert_eq!(world.traces(), traces);
    let created = after.create(&json!({})).await;
    assert_eq!(
        created.status,
        StatusCode::CREATED,
        "it needs the browser again"
    );
}

/// Users and servers that a careless encoding would take for one another.
const ALIKE: [(&str, &str); 7] = [
    ("a/b", ""),
    ("a", "b"),
    ("a", ""),
    ("a%2Fb", ""),
    ("A", ""),
    ("a:b", ""),
    ("a!server=b", ""),
];

#[tokio::test]
async fn security_k11_users_that_look_alike_do_not_meet() {
    let world = World::new().await;
    let mut kernels = Vec::new();
    for (at, (user, server)) in ALIKE.into_iter().enumerate() {
        world.hub.log_in_every_browser(Some(user));
        // One account is one hub user's; `a` has two servers.
        let account = if user == "a" {
            "op-a".to_owned()
        } else {
            format!("op-{at}")
        };
        world.provider.sign_in_as(Account::new(&account));
        let kernel = world.kernel(user, server);
        let connection = world.connect(&kernel, user).await;
        kernels.push((kernel, connection));
    }
    for (kernel, own) in &kernels {
        let list = kernel.connections().await;
        assert_eq!(list.len(), 1);
        assert_eq!(list[0]["id"], own.id);
        for (_, other) in kernels.iter().filter(|(_, other)| other.id != own.id) {
            let answer = kernel.get_token(&other.id, 0).await;
            answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
        }
    }
}

#[tokio::test]
async fn security_k11_odd_names_open_sign_ins_of_their_own() {
    let world = World::new().await;
    let long = "u".repeat(255);
    let names = [
        "а",
        "a",
        "a\u{308}",
        "ä",
        "a b",
        "a\u{202e}b",
        "日本",
        long.as_str(),
    ];
    let mut opened = Vec::new();
    for name in names {
        let kernel = world.kernel(name, "");
        let answer = kernel.create(&json!({})).await;
        assert_eq!(answer.json()["user"], name);
        opened.push((crate::support::kernel::opened(&answer.json()), kernel));
    }
    for (at, (sign_in, _)) in opened.iter().enumerate() {
        for (other, (_, kernel)) in opened.iter().enumerate() {
            if at != other {
                let answer = kernel.poll(sign_in).await;
                answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
            }
        }
    }
}

#[tokio::test]
async fn feature_g6_a_list_holds_the_own_servers_connections_newest_first() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let older = world.connect(&kernel, "alice").await;
    let sign_in = kernel
        .open_with(&json!({"scopes": ["openid", "projects:write"]}))
        .await;
    world.browser("alice").sign_in(&sign_in).await;
    let newer = kernel.collect(&sign_in).await;
    let ids = |list: Vec<serde_json::Value>| {
        let ids = list
            .iter()
            .map(|item| item["id"].as_str().unwrap_or_default().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(kernel.connections().await), [newer.id, older.id]);
    assert!(world.kernel("alice", "gpu").connections().await.is_empty());
    assert!(world.kernel("mallory", "").connections().await.is_empty());
    world.clock.advance(Duration::from_hours(12));
    assert!(kernel.connections().await.is_empty(), "their time is over");
}
