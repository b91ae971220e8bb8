//! `GET /v1/connections/{id}/userinfo`

use http::{Method, StatusCode};
use hubkey_fakes::{fake_http::Reply, hostile_provider::Endpoint};
use serde_json::json;

use crate::support::{
    audit::AuditTrail,
    kernel::TestKernel,
    refresh_stage::{ENDED, Stage},
    world::Answer,
};

async fn ask(kernel: &TestKernel, connection: &str) -> Answer {
    let path = format!("/v1/connections/{connection}/userinfo");
    kernel.send(Method::GET, &path, None).await
}

#[tokio::test]
async fn feature_k3_userinfo_is_the_providers_document() {
    let stage = Stage::new().await;
    let answer = ask(&stage.kernel, &stage.connection.id).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let listed = &stage.kernel.connections().await[0];
    assert_eq!(answer.json()["claims"]["sub"], listed["account"]["sub"]);
    assert!(!answer.text().contains("token"), "{}", answer.text());
    // An ended token is not sent there.
    stage.advance(ENDED);
    let answer = ask(&stage.kernel, &stage.connection.id).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(stage.world.provider.grants().refreshes(), 1);
}

#[tokio::test]
async fn security_g6_userinfo_is_for_the_connections_own_server() {
    let stage = Stage::new().await;
    for (user, server) in [("bob", ""), ("alice", "other")] {
        let other = stage.world.kernel(user, server);
        let answer = ask(&other, &stage.connection.id).await;
        answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
    }
    let answer = ask(&stage.kernel, "abcdef.AAAAAAAAAAAAAAAAAAAAAA").await;
    answer.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn security_p44_userinfo_of_another_account_reaches_no_kernel() {
    let (trail, stage) = (AuditTrail::begin(), Stage::new().await);
    let lie = |reply: &mut Reply| reply.edit_json(|document| document["sub"] = json!("op-eve"));
    stage.world.provider.next_reply(Endpoint::UserInfo, lie);
    let answer = ask(&stage.kernel, &stage.connection.id).await;
    answer.assert_problem(StatusCode::BAD_GATEWAY, "userinfo_subject_mismatch");
    assert!(!answer.text().contains("op-eve"), "{}", answer.text());
    assert!(trail.says("provider_failed", "reason=userinfo_sub"));
    assert!(!trail.events().join(" ").contains("op-eve"));
}

/// A refusal, a page and an encrypted answer are three things.
#[tokio::test]
async fn found_h5_each_kind_of_unusable_userinfo_has_its_own_words() {
    let encrypted = Reply::json_text("a.b.c.d.e").typed("application/jwt");
    let page = Reply::html("<html>Sign in</html>");
    let refused = |status| Reply::new(status);
    let cases = [
        (refused(StatusCode::FORBIDDEN), "userinfo_refused"),
        (refused(StatusCode::BAD_REQUEST), "userinfo_refused"),
        (page, "userinfo_unreadable"),
        (encrypted, "userinfo_unreadable"),
    ];
    for (reply, code) in cases {
        let (trail, stage) = (AuditTrail::begin(), Stage::new().await);
        stage
            .world
            .provider
            .next_reply(Endpoint::UserInfo, |all| *all = reply);
        let answer = ask(&stage.kernel, &stage.connection.id).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, code);
        let warned = trail.warnings().join("\n");
        assert!(
            warned.contains("userinfo_") && warned.contains("lab-api"),
            "{code}: {warned}"
        );
    }
}
