//! How long an answer of the Hub is believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hubkey_fakes::scripted_hub::{Fault, HubEndpoint, models};
use hubkey_token_broker::hub::{Freshness, KernelError};

use crate::stage::{PEER, Stage, of, owned, refusal};

#[tokio::test]
async fn security_k8_a_kernel_is_remembered_for_30_seconds_at_most() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    for _ in 0..30 {
        assert!(stage.cached(&token).await.is_ok());
        stage.clock.advance(Duration::from_millis(999));
    }
    assert_eq!(stage.questions(), 1);
    stage.hub.revoke(&token);
    assert!(stage.cached(&token).await.is_ok(), "29.97 s old");

    stage.clock.advance(Duration::from_millis(30));
    assert_eq!(
        refusal(stage.cached(&token).await),
        Some(KernelError::Unknown)
    );
    assert_eq!(stage.questions(), 2);
}

#[tokio::test]
async fn security_k8_a_use_does_not_prolong_the_memory() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    for _ in 0..4 {
        assert!(stage.cached(&token).await.is_ok());
        stage.later(10);
    }
    assert_eq!(stage.questions(), 2);
}

#[tokio::test]
async fn security_k8_where_the_hub_must_be_asked_memory_does_not_count() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    assert!(stage.asked(&token).await.is_ok());
    assert!(stage.asked(&token).await.is_ok());
    assert!(stage.cached(&token).await.is_ok());
    assert_eq!(stage.questions(), 2);

    stage.hub.revoke(&token);
    assert_eq!(
        refusal(stage.asked(&token).await),
        Some(KernelError::Unknown)
    );
    assert_eq!(
        refusal(stage.cached(&token).await),
        Some(KernelError::Unknown),
        "the newer answer replaces the older"
    );
}

#[tokio::test]
async fn security_k8_a_refusal_is_remembered_for_5_seconds() {
    let stage = Stage::set().await;
    let token = stage.hub.token_of(models::browser("alice"));
    for freshness in [Freshness::Cached, Freshness::Fresh] {
        let answer = stage.from(&token, freshness, PEER.into()).await;
        assert_eq!(refusal(answer), Some(KernelError::NotAServerToken));
    }
    assert_eq!(stage.questions(), 1);

    stage.hub.set_model(&token, models::server("alice", ""));
    stage.clock.advance(Duration::from_millis(4_999));
    assert!(stage.asked(&token).await.is_err());
    stage.clock.advance(Duration::from_millis(1));
    assert!(stage.cached(&token).await.is_ok());
    assert_eq!(stage.questions(), 2);
}

#[tokio::test]
async fn security_k8_a_hub_that_is_down_vouches_for_nobody_new() {
    let stage = Stage::set().await;
    let known = stage.hub.server_token("alice", "");
    let new = stage.hub.server_token("bob", "");
    assert!(stage.cached(&known).await.is_ok());

    stage.hub.fault(Fault::Down);
    let unavailable = Some(KernelError::HubUnavailable);
    assert_eq!(refusal(stage.cached(&new).await), unavailable);
    assert_eq!(refusal(stage.asked(&known).await), unavailable);
    assert!(stage.cached(&known).await.is_ok(), "asked 0 s ago");
    stage.later(30);
    assert_eq!(refusal(stage.cached(&known).await), unavailable);

    stage.hub.fault(Fault::None);
    assert!(stage.cached(&known).await.is_ok(), "a failure is not kept");
    assert!(stage.asked(&new).await.is_ok());
}

#[tokio::test]
async fn security_k8_faults_of_the_hub_are_never_remembered() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    let faults = [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Status(404),
        Fault::Status(204),
        Fault::Html,
    ];
    for fault in faults {
        stage.hub.fault(fault);
        for _ in 0..2 {
            assert_eq!(
                refusal(stage.cached(&token).await),
                Some(KernelError::HubUnavailable),
                "{fault:?}"
            );
        }
    }
    assert_eq!(stage.questions(), 2 * faults.len());
    stage.hub.fault(Fault::None);
    assert!(stage.cached(&token).await.is_ok());
}

#[tokio::test]
async fn security_k8_a_wall_clock_that_is_set_back_prolongs_nothing() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    assert!(stage.cached(&token).await.is_ok());
    // A test clock moves ahead only: round the whole circle is back by a second.
    stage.clock.advance(Duration::from_millis(u64::MAX - 999));
    assert!(stage.cached(&token).await.is_ok());
    assert_eq!(stage.questions(), 2);
}

#[tokio::test]
async fn security_kr9_the_memory_holds_the_whole_decision() {
    let stage = Stage::set().await;
    let tokens = [("alice", ""), ("alice", "gpu"), ("bob", ""), ("ali", "ce")]
        .map(|(user, server)| (user, server, stage.hub.server_token(user, server)));
    for _ in 0..2 {
        for (user, server, token) in &tokens {
            assert_eq!(of(stage.cached(token).await), owned(user, server));
        }
    }
    assert_eq!(stage.questions(), tokens.len());

    // What the Hub says later replaces all of it: user, server and scopes.
    let (_, _, token) = &tokens[0];
    stage.hub.set_model(token, models::server("carol", "lab"));
    assert_eq!(of(stage.asked(token).await), owned("carol", "lab"));
    assert_eq!(of(stage.cached(token).await), owned("carol", "lab"));
    let plain = models::server_of_plain_hub("carol", "lab");
    stage.hub.set_model(token, plain);
    stage.later(30);
    assert_eq!(
        refusal(stage.cached(token).await),
        Some(KernelError::MissingKernelScope)
    );
}

#[tokio::test]
async fn security_kr10_a_restarted_server_has_another_fingerprint() {
    let stage = Stage::set().await;
    let first = stage.hub.server_token("alice", "");
    let second = stage.hub.server_token("alice", "");
    let kernels = [
        stage.asked(&first).await.unwrap(),
        stage.asked(&second).await.unwrap(),
        stage.cached(&first).await.unwrap(),
    ];
    assert!(!kernels[0].fingerprint.matches(&kernels[1].fingerprint));
    assert!(kernels[0].fingerprint.matches(&kernels[2].fingerprint));
}

#[tokio::test]
async fn many_calls_at_once_with_one_token_ask_the_hub_once() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    stage.hub.fault(Fault::Slow(Duration::from_millis(300)));
    let answers = join_all((0..100).map(|_| stage.cached(&token))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(stage.questions(), 1);

    // Those who came while the first question was under way need a newer one, and share it.
    let answers = join_all((0..100).map(|_| stage.asked(&token))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(stage.questions(), 3);
}

#[tokio::test]
async fn security_k8_an_answer_to_an_earlier_question_is_not_fresh() {
    let stage = Arc::new(Stage::set().await);
    let token = stage.hub.server_token("alice", "");
    stage.hub.fault(Fault::Slow(Duration::from_millis(300)));
    let early = tokio::spawn({
        let (stage, token) = (Arc::clone(&stage), token.clone());
        async move { stage.asked(&token).await }
    });
    while stage.questions() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The server stops while the Hub's good answer is still on its way.
    let late = stage.asked(&token);
    let stop = async {
        let answer = early.await.unwrap();
        (answer.is_ok(), stage.hub.revoke(&token))
    };
    let (late, (early, ())) = tokio::join!(late, stop);
    assert!(early);
    assert_eq!(refusal(late), Some(KernelError::Unknown));
}

#[tokio::test]
async fn security_k8_a_hub_that_hangs_holds_nobody_up_for_long() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    stage.hub.fault(Fault::Hang);
    let start = Instant::now();
    let answers = join_all((0..20).map(|_| stage.asked(&token))).await;
    let unavailable = Some(KernelError::HubUnavailable);
    assert!(
        answers
            .into_iter()
            .all(|answer| refusal(answer) == unavailable)
    );
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "one after another"
    );
    assert_eq!(stage.questions(), 1);
}

#[tokio::test]
async fn the_token_goes_as_a_bearer_header_and_nowhere_else() {
    let stage = Stage::set().await;
    let token = stage.hub.server_token("alice", "");
    stage.asked(&token).await.unwrap();
    let [request] = &stage.hub.requests(HubEndpoint::User)[..] else {
        panic!("one question");
    };
    assert_eq!(request.token_of_scheme("Bearer"), Some(token.as_str()));
    assert_eq!((request.query.as_str(), request.body.len()), ("", 0));
    assert_eq!(request.method, http::Method::GET);
    assert!(request.headers.get("cookie").is_none());
}
