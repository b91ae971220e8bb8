//! A provider whose connections all servers of one hub user share.

use http::{Method, StatusCode};
use hubkey_domain::provider::ConnectionScope;
use hubkey_fakes::hostile_provider::Account;
use hubkey_token_broker::use_cases::SharedServers;
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    kernel::{TestKernel, connected},
    outcome::revoked,
    world::{SERVICE_TOKEN, World, WorldOptions},
};

async fn sharing(shared_servers: SharedServers) -> World {
    World::with(WorldOptions {
        connection_scope: ConnectionScope::User,
        shared_servers,
        ..WorldOptions::default()
    })
    .await
}

async fn end(world: &World, server: &str) {
    let body = json!({"user": "alice", "server": server});
    let hub = world.kernel_with(SERVICE_TOKEN);
    let told = hub.send(Method::POST, "/v1/servers/stopped", Some(&body));
    assert_eq!(told.await.status, StatusCode::NO_CONTENT);
}

async fn status_of(kernel: &TestKernel, connection: &str) -> StatusCode {
    kernel.get_token(connection, 0).await.status
}

#[tokio::test]
async fn feature_a14_other_servers_of_the_same_user_need_no_person_where_the_operator_says_so() {
    let trail = AuditTrail::begin();
    let world = sharing(SharedServers::Warn).await;
    let (first, gpu) = (world.kernel("alice", ""), world.kernel("alice", "gpu"));
    let connection = world.connect(&first, "alice").await;
    // An id alone opens nothing: the other server asks for a connection first.
    assert_eq!(status_of(&gpu, &connection.id).await, StatusCode::NOT_FOUND);
    let answer = gpu.create(&json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(connected(&answer.json()), connection);
    assert!(trail.says("token_issued", "reason=shared"));
    assert_eq!(gpu.connections().await.len(), 1);
    assert_eq!(first.connections().await.len(), 1);
    for kernel in [&first, &gpu] {
        assert_eq!(status_of(kernel, &connection.id).await, StatusCode::OK);
    }
    let foreign = world.kernel("mallory", "");
    assert_eq!(foreign.create(&json!({})).await.status, StatusCode::CREATED);
    assert_eq!(
        status_of(&foreign, &connection.id).await,
        StatusCode::NOT_FOUND
    );

    // It goes on until its last server has ended.
    end(&world, "").await;
    assert_eq!(
        status_of(&first, &connection.id).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(status_of(&gpu, &connection.id).await, StatusCode::OK);
    assert!(world.provider.revoked().is_empty());
    end(&world, "gpu").await;
    assert_eq!(status_of(&gpu, &connection.id).await, StatusCode::NOT_FOUND);
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn security_k4_a_server_that_others_may_enter_gets_nothing_of_another_server() {
    for policy in [SharedServers::Warn, SharedServers::Deny] {
        let world = sharing(policy).await;
        world.hub.share("alice", "gpu", &["bob"]);
        let (first, gpu) = (world.kernel("alice", ""), world.kernel("alice", "gpu"));
        let connection = world.connect(&first, "alice").await;
        let answer = gpu.create(&json!({})).await;
        let wanted = match policy {
            SharedServers::Deny => StatusCode::FORBIDDEN,
            _ => StatusCode::CREATED,
        };
        assert_eq!(answer.status, wanted, "{}", answer.text());
        assert_eq!(status_of(&gpu, &connection.id).await, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn feature_a14_by_default_another_server_signs_in_by_itself() {
    let world = World::new().await;
    world.provider.sign_in_as(Account::new("op-alice"));
    let (first, gpu) = (world.kernel("alice", ""), world.kernel("alice", "gpu"));
    world.connect(&first, "alice").await;
    assert_eq!(gpu.create(&json!({})).await.status, StatusCode::CREATED);
}
