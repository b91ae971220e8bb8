//! `POST /v1/servers/stopped`

use http::{Method, StatusCode};
use hubkey_fakes::hostile_provider::Account;
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    outcome::revoked,
    world::{Answer, SERVICE_TOKEN, World},
};

/// Tells the broker, with this token, that a server ended.
async fn tell(world: &World, token: &str, user: &str, server: &str) -> Answer {
    let teller = world.kernel_with(token);
    let body = json!({"user": user, "server": server});
    teller
        .send(Method::POST, "/v1/servers/stopped", Some(&body))
        .await
}

#[tokio::test]
async fn security_k10_what_a_server_had_ends_with_it_and_nothing_else_does() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (kernel, gpu) = (world.kernel("alice", ""), world.kernel("alice", "gpu"));
    let ended = world.connect(&kernel, "alice").await;
    let kept = world.connect(&gpu, "alice").await;
    world.hub.log_in_every_browser(Some("bob"));
    world.provider.sign_in_as(Account::new("op-bob"));
    let bob = world.kernel("bob", "");
    let bobs = world.connect(&bob, "bob").await;
    let waiting = kernel
        .open_with(&json!({"scopes": ["openid", "projects:write"]}))
        .await;

    let told = tell(&world, SERVICE_TOKEN, "alice", "").await;

    assert_eq!(told.status, StatusCode::NO_CONTENT, "{}", told.text());
    let gone = kernel.get_token(&ended.id, 0).await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert!(kernel.connections().await.is_empty());
    assert_eq!(kernel.state(&waiting).await, "denied");
    let tokens = revoked(&world.provider, 2).await;
    assert!(tokens.contains(&ended.access_token));
    assert_eq!(tokens.len(), 2, "nothing else was revoked");
    assert!(trail.says("grant_ended", "reason=server_stopped"));
    for (other, connection) in [(&gpu, &kept), (&bob, &bobs)] {
        assert_eq!(
            other.get_token(&connection.id, 0).await.status,
            StatusCode::OK
        );
    }
    let again = tell(&world, SERVICE_TOKEN, "alice", "").await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    for unknown in ["nobody", "", "ali"] {
        let nothing = tell(&world, SERVICE_TOKEN, unknown, "").await;
        assert_eq!(nothing.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn security_i7_only_the_hub_can_say_that_a_server_ended() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let traces = world.traces();
    let mallory = world.hub.server_token("mallory", "");
    let almost = &SERVICE_TOKEN[..SERVICE_TOKEN.len() - 1];
    for token in [kernel.token.as_str(), &mallory, almost, "x"] {
        let refused = tell(&world, token, "alice", "").await;
        refused.assert_problem(StatusCode::FORBIDDEN, "not_the_hub");
    }
    assert_eq!(world.traces(), traces);
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );
}
