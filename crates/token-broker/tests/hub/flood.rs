//! Many guesses: the Hub must not drown in them, and nobody else must notice.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use hubkey_fakes::fake_http::{Captured, Fake, FakeServer, Reply};
use hubkey_fakes::scripted_hub::{Fault, models};
use hubkey_protocol::secret::ServerToken;
use hubkey_token_broker::hub::{Freshness, KernelAuthenticator, KernelError};

use crate::stage::{self, PEER, Stage, refusal};

const OTHER: [u8; 4] = [10, 0, 0, 2];

fn guess(number: usize) -> String {
    format!("{number:032x}")
}

/// Guesses, 200 at a time, and counts the refusals that came without a question.
async fn guesses(
    stage: &Stage,
    numbers: std::ops::Range<usize>,
    peer: impl Fn(usize) -> IpAddr,
) -> usize {
    let answers = numbers.map(|number| {
        let (token, peer) = (guess(number), peer(number));
        async move { stage.from(&token, Freshness::Cached, peer).await }
    });
    let mut answers = stream::iter(answers).buffer_unordered(200);
    let mut unasked = 0;
    while let Some(answer) = answers.next().await {
        match refusal(answer) {
            Some(KernelError::TooMany) => unasked += 1,
            other => assert_eq!(other, Some(KernelError::Unknown)),
        }
    }
    unasked
}

#[tokio::test]
async fn security_q7_ten_thousand_guesses_from_one_peer_cost_the_hub_twenty_questions() {
    let stage = Stage::set().await;
    let proven = stage.hub.server_token("alice", "");
    stage.cached(&proven).await.unwrap();
    stage.hub.forget_requests();

    let unasked = guesses(&stage, 0..10_000, |_| PEER.into()).await;
    assert_eq!(stage.hub.distinct_tokens(), 20);
    assert_eq!((stage.questions(), unasked), (20, 9_980));

    stage.later(1);
    guesses(&stage, 10_000..10_100, |_| PEER.into()).await;
    assert_eq!(stage.questions(), 25, "5 a second from then on");
}

#[tokio::test]
async fn security_q7_valid_users_do_not_notice_a_flood() {
    let stage = Stage::set().await;
    let neighbour = stage.hub.server_token("alice", "");
    stage.cached(&neighbour).await.unwrap();
    let flood = guesses(&stage, 0..10_000, |_| PEER.into());
    let users = async {
        let mut worst = Duration::ZERO;
        for number in 0..50 {
            let start = Instant::now();
            stage.asked(&neighbour).await.unwrap();
            stage.cached(&neighbour).await.unwrap();
            // A server that starts now, elsewhere.
            let new = stage.hub.server_token("bob", &format!("s{number}"));
            stage
                .from(&new, Freshness::Fresh, OTHER.into())
                .await
                .unwrap();
            worst = worst.max(start.elapsed());
        }
        worst
    };
    let (_, worst) = tokio::join!(flood, users);
    // Generous, because all of this runs on one thread of a machine that may be busy.
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}

#[tokio::test]
async fn security_q7_guesses_from_everywhere_cost_the_hub_fifty_questions_a_second() {
    let stage = Stage::set().await;
    let from = |number: usize| {
        let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
        IpAddr::from([10, 1, high, low])
    };
    guesses(&stage, 0..3_000, from).await;
    assert_eq!(stage.questions(), 50);
    stage.later(1);
    guesses(&stage, 3_000..6_000, from).await;
    assert_eq!(stage.questions(), 100);
}

#[tokio::test]
async fn security_q7_one_bad_token_over_and_over_costs_one_question() {
    let stage = Stage::set().await;
    for _ in 0..1_000 {
        assert_eq!(
            refusal(stage.asked(&guess(1)).await),
            Some(KernelError::Unknown)
        );
    }
    assert_eq!(stage.questions(), 1);
    assert!(
        stage
            .asked(&stage.hub.server_token("alice", ""))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn security_q7_who_hangs_up_pays_too() {
    let stage = Stage::set().await;
    stage.hub.fault(Fault::Hang);
    for number in 0..20 {
        let token = guess(number);
        let call = stage.cached(&token);
        let hung_up = tokio::time::timeout(Duration::from_millis(50), call).await;
        assert!(hung_up.is_err());
    }
    let answer = stage.cached(&guess(20)).await;
    assert_eq!(refusal(answer), Some(KernelError::TooMany));
}

#[tokio::test]
async fn a_class_that_starts_together_from_one_address_is_not_held_up() {
    let stage = Stage::set().await;
    stage.hub.fault(Fault::Slow(Duration::from_millis(20)));
    let tokens: Vec<_> = (0..300)
        .map(|number| stage.hub.server_token(&format!("student-{number}"), ""))
        .collect();
    let answers = join_all(tokens.iter().map(|token| stage.asked(token))).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_hub_that_is_down_makes_nobody_a_guesser() {
    let stage = Stage::set().await;
    let tokens: Vec<_> = (0..60)
        .map(|number| stage.hub.server_token(&format!("student-{number}"), ""))
        .collect();
    stage.hub.fault(Fault::Down);
    for token in &tokens {
        let answer = stage.asked(token).await;
        assert_eq!(refusal(answer), Some(KernelError::HubUnavailable));
    }
    stage.hub.fault(Fault::None);
    for token in &tokens {
        stage.asked(token).await.unwrap();
    }
}

/// A Hub that counts how many questions are open.
#[derive(Debug, Default)]
struct Gauge {
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Fake for Gauge {
    async fn answer(&self, _: Captured) -> Reply {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
        Reply::json(&models::server("alice", ""))
    }
}

#[tokio::test]
async fn security_q7_at_most_32_questions_are_open() {
    let gauge = Arc::new(Gauge::default());
    let server = FakeServer::start(Arc::clone(&gauge)).await.unwrap();
    let config = stage::config(&format!("{}/hub/api", server.url()));
    let kernels = stage::kernels(&config, &stage::clock());
    let calls = (0..200).map(|number| {
        let (kernels, token) = (&kernels, ServerToken::new(guess(number)));
        async move { kernels.authenticate(&token, Freshness::Fresh, None).await }
    });
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(gauge.most.load(Ordering::SeqCst), 32);
}
