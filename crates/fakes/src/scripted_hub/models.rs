//! User models as real Hubs gave them, each with the name of the token that it belongs to.
//!
//! Only [`server`] is a kernel's proof of identity, and only [`browser`] a browser's.

use serde_json::{Value, json};

use crate::fake_http::random_hex;

/// A token of a user with these scopes; `session_id` is null as in tokens that no browser session made.
#[must_use]
pub fn user(name: &str, scopes: &[String]) -> Value {
    json!({
        "admin": false,
        "groups": [],
        "kind": "user",
        "last_activity": "2026-11-24T20:00:00.000000Z",
        "name": name,
        "scopes": scopes,
        "session_id": null,
        "token_id": format!("a{}", random_hex(2)),
        "user_info": null,
    })
}

/// ACCEPT: the token of a server (`""` is the default server) under the Hub configuration that hubkey ships.
#[must_use]
pub fn server(owner: &str, server: &str) -> Value {
    user(owner, &shipped_scopes(owner, server))
}

/// REJECT (no `custom:hubkey:kernel`): the token of a server of a Hub without that configuration.
#[must_use]
pub fn server_of_plain_hub(owner: &str, server: &str) -> Value {
    let mut scopes = shipped_scopes(owner, server);
    scopes.retain(|scope| !scope.contains("hubkey"));
    user(owner, &scopes)
}

/// REJECT: the OAuth token in the page config of `JupyterLab` on the user's own server.
#[must_use]
pub fn page_config(name: &str) -> Value {
    on_server_of(name, name)
}

/// REJECT: the OAuth token of a visitor, by share or as an administrator, on the default server of `owner`. With the
/// names turned round: the visitor's token as the owner of a shared server can read it.
#[must_use]
pub fn on_server_of(visitor: &str, owner: &str) -> Value {
    oauth(visitor, &format!("access:servers!server={owner}/"))
}

/// REJECT: an administrator in somebody's server.
#[must_use]
pub fn admin_on_server_of(admin: &str, owner: &str) -> Value {
    let mut model = on_server_of(admin, owner);
    model["admin"] = json!(true);
    model
}

/// REJECT: the OAuth token that some service holds.
#[must_use]
pub fn held_by_service(name: &str, service: &str) -> Value {
    oauth(name, &format!("access:services!service={service}"))
}

/// ACCEPT as a browser's proof, REJECT as a kernel's: the OAuth token that hubkey holds under the Hub configuration that
/// hubkey ships.
#[must_use]
pub fn browser(name: &str) -> Value {
    let mut model = held_by_service(name, "hubkey");
    if let Some(scopes) = model["scopes"].as_array_mut() {
        scopes.push(json!(own_model(name)));
    }
    model
}

/// The scope by which a token may read the whole model of its own user, with the time when the Hub made them.
#[must_use]
pub fn own_model(name: &str) -> String {
    format!("read:users!user={name}")
}

/// REJECT: a token with the scope `inherit` that the user made on the Hub's token page.
#[must_use]
pub fn inherit(name: &str) -> Value {
    let scopes = [
        format!("access:servers!user={name}"),
        "access:services".into(),
        format!("custom:hubkey:kernel!user={name}"),
        format!("read:users!user={name}"),
        format!("servers!user={name}"),
        format!("tokens!user={name}"),
        format!("users:activity!user={name}"),
    ];
    let mut model = user(name, &scopes);
    model["roles"] = json!(["user"]);
    model
}

/// REJECT: a token whose access scope is filtered by a group.
#[must_use]
pub fn by_group(name: &str, group: &str) -> Value {
    let mut scopes = shipped_scopes(name, "");
    scopes.retain(|scope| !scope.starts_with("access:servers"));
    scopes.push(format!("access:servers!group={group}"));
    user(name, &scopes)
}

/// REJECT: the API token of a service.
#[must_use]
pub fn service(name: &str) -> Value {
    json!({
        "admin": false,
        "kind": "service",
        "name": name,
        "scopes": ["admin:users", "tokens"],
        "session_id": null,
        "token_id": "a4",
    })
}

/// Every model that must not open the kernel API for `alice`'s servers, with a name.
#[must_use]
pub fn rejects() -> Vec<(&'static str, Value)> {
    vec![
        ("page config of the own server", page_config("alice")),
        (
            "alice's token on mallory's shared server",
            on_server_of("alice", "mallory"),
        ),
        (
            "alice's token held by the service evil",
            held_by_service("alice", "evil"),
        ),
        ("alice's token held by hubkey", browser("alice")),
        (
            "mallory's token on alice's server",
            on_server_of("mallory", "alice"),
        ),
        (
            "an admin's token on alice's server",
            admin_on_server_of("root_admin", "alice"),
        ),
        ("alice's token with inherit", inherit("alice")),
        ("alice's token by group", by_group("alice", "lab")),
        ("a service's token", service("setup")),
        (
            "a server token of a plain Hub",
            server_of_plain_hub("alice", ""),
        ),
    ]
}

fn oauth(name: &str, access: &str) -> Value {
    let scopes = [
        access.to_owned(),
        format!("read:users:groups!user={name}"),
        format!("read:users:name!user={name}"),
    ];
    let mut model = user(name, &scopes);
    model["session_id"] = json!(random_hex(16));
    model
}

fn shipped_scopes(owner: &str, server: &str) -> Vec<String> {
    vec![
        format!("access:servers!server={owner}/{server}"),
        "access:services!service=hubkey".into(),
        format!("custom:hubkey:kernel!user={owner}"),
        own_model(owner),
        format!("read:users:activity!user={owner}"),
        format!("read:users:groups!user={owner}"),
        format!("read:users:name!user={owner}"),
        format!("users:activity!user={owner}"),
    ]
}
