//! Between the provider's answer and the store: what was granted is kept, or given back; never left alive.

use http::StatusCode;
use hubkey_fakes::{fake_http::Reply, hostile_provider::Endpoint};

use crate::support::{
    audit::AuditTrail,
    kernel::{Opened, TestKernel},
    outcome::{failure, link_account, returning, revoked},
    probe::CommitFault::{self, AnswerLost, Lost, None as Fine, ThenDown},
    world::World,
};

async fn opened(world: &World) -> (TestKernel, Opened) {
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    (kernel, sign_in)
}

/// Comes back from the provider while these commits of the step meet faults. The first uses the state up, the second takes
/// the sign-in over; then the code is redeemed.
async fn comes_back(world: &World, sign_in: &Opened, faults: &[CommitFault]) -> serde_json::Value {
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, sign_in).await;
    world.probe.next_commits(faults);
    let reply = browser.callback("lab-api", &back).await;
    match reply.kind() {
        "view" => browser.view(reply.flow()).await.page().clone(),
        _ => reply.0["answer"].clone(),
    }
}

#[tokio::test]
async fn found_a11_first_aid_a_store_that_is_away_after_the_code_leaves_no_grant() {
    let world = World::new().await;
    let (_, sign_in) = opened(&world).await;
    let answer = comes_back(&world, &sign_in, &[Fine, ThenDown]).await;
    assert_eq!(answer["refusal"], "unavailable", "{answer}");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn found_a11_first_aid_a_lost_commit_after_the_code_ends_the_sign_in_and_gives_back() {
    // Of a new account: the lists where a logout and the end of a server look, then the page. Of a linked one: owner and
    // account link, then the connection, the lists, and the sign-in.
    for (linked, commits) in [
        (false, 1),
        (false, 2),
        (false, 3),
        (true, 1),
        (true, 2),
        (true, 3),
        (true, 4),
        (true, 5),
        (true, 6),
    ] {
        let trail = AuditTrail::begin();
        let world = World::new().await;
        if linked {
            link_account(&world, "alice", "op-alice").await;
        }
        let (kernel, sign_in) = opened(&world).await;
        let mut faults = vec![Fine, Fine];
        faults.extend(vec![Fine; commits - 1]);
        faults.push(Lost);
        let page = comes_back(&world, &sign_in, &faults).await;
        assert_eq!(
            page["reason"], "store_unavailable",
            "{linked} {commits}: {page}"
        );
        assert_eq!(failure(&kernel, &sign_in).await, "store_unavailable");
        assert_eq!(revoked(&world.provider, 2).await.len(), 2);
        assert!(trail.has("grant_ended"));
        assert!(kernel.connections().await.is_empty());
    }
}

#[tokio::test]
async fn found_a11_first_aid_a_commit_whose_answer_got_lost_is_looked_at_again() {
    for linked in [false, true] {
        let world = World::new().await;
        if linked {
            link_account(&world, "alice", "op-alice").await;
        }
        let (kernel, sign_in) = opened(&world).await;
        let before = if linked { 8 } else { 5 };
        let mut faults = vec![Fine; before - 1];
        faults.push(AnswerLost);
        let page = comes_back(&world, &sign_in, &faults).await;
        let wanted = if linked { "done" } else { "confirm" };
        assert_eq!(page["page"], wanted, "{page}");
        let state = if linked { "connected" } else { "pending" };
        assert_eq!(kernel.state(&sign_in).await, state);
        assert!(world.provider.revoked().is_empty());
    }
}

#[tokio::test]
async fn found_a11_first_aid_an_id_token_that_is_refused_leaves_no_grant() {
    let world = World::new().await;
    let (kernel, sign_in) = opened(&world).await;
    world
        .provider
        .next_id_token(|token| token.claim("nonce", "another's"));
    let page = comes_back(&world, &sign_in, &[]).await;
    assert_eq!(page["reason"], "provider_protocol_error", "{page}");
    assert_eq!(failure(&kernel, &sign_in).await, "provider_protocol_error");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn found_a11_first_aid_keys_that_cannot_be_fetched_leave_no_grant() {
    let world = World::new().await;
    // The keys are known.
    link_account(&world, "bob", "op-bob").await;
    let (kernel, sign_in) = opened(&world).await;
    // Signed with a key that is to be fetched, from a place that does not answer.
    world.provider.signing_keys().rotate_before_signing();
    let broken = Reply::new(StatusCode::BAD_GATEWAY);
    world.provider.answer(Endpoint::Jwks, broken);
    let page = comes_back(&world, &sign_in, &[]).await;
    assert_eq!(page["page"], "ended", "{page}");
    failure(&kernel, &sign_in).await;
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}
