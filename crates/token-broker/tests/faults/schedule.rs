//! What is run: kernels that want the token of a connection at the same time, and everything that goes wrong.

use std::{
    collections::BTreeSet,
    sync::{Mutex, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream};
use hubkey_fakes::{
    fake_http::{Pace, Reply},
    hostile_provider::Endpoint,
    kernel_api::KernelApi,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    fixture::Connected,
    outcomes::{Ending, Outcomes, ScheduleOutcome},
    seeded::Seeded,
    site::{BROKERS, Site},
};

/// So many schedules begin in a second.
const A_SECOND: u64 = 20;
/// One of so many has fifty kernels at each broker; the others have one.
const STORMY: u64 = 50;
const STORM: usize = 50;
/// A kernel that got neither a token nor an end was forgotten, so long after the last disturbance: two leases and a rest.
/// Before, a recovery may have to wait again and again for a provider that answers.
const PATIENCE: Duration = Duration::from_secs(110);
/// Longer than a broker lets a kernel wait.
const ANSWER: Duration = Duration::from_secs(14);

/// Numbers of one part of what follows from a seed.
fn branch(seed: u64, part: u64) -> Seeded {
    Seeded::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ part)
}

/// Schedules without disturbance: each refresh token goes once, and everybody gets the same token.
pub(crate) async fn storms(site: &Site, count: u64) {
    for number in 0..count {
        let seed = u64::MAX - number;
        let outcome = run(site, seed, STORM, Instant::now()).await;
        assert!(matches!(outcome.ending, Ending::Token(_)), "{outcome:?}");
        let uses = site.provider.uses(&outcome.connected.refresh_token);
        assert_eq!(uses.len(), 1, "a storm of kernels refreshed {uses:?}");
    }
    assert_eq!(site.provider.grants().reuses(), 0);
}

/// Plays them while everything goes wrong, and judges.
pub(crate) async fn disturbed(site: &Site, seed: u64, count: u64) -> Outcomes {
    let began = Instant::now();
    let end = began + Duration::from_millis(count * 1000 / A_SECOND);
    distort(site, seed);
    let disturbers = site.brokers.iter().zip(1..);
    let disturbers = disturbers.map(|(broker, index)| broker.disturb(branch(seed, index), end));
    let schedules = stream::iter(seed..seed + count)
        .map(async |number| {
            sleep_until(began + Duration::from_millis((number - seed) * 1000 / A_SECOND)).await;
            let crowd = if number % STORMY == 0 { STORM } else { 1 };
            run(site, number, crowd, end).await
        })
        .buffer_unordered(usize::MAX)
        .collect::<Vec<_>>();
    let calming = async {
        tokio::join!(join_all(disturbers), outages(site, seed, end));
        site.provider.be_honest();
    };
    let (outcomes, ()) = tokio::join!(schedules, calming);
    check_agreement(site, &outcomes).await;
    let count = |of: fn(&crate::brokers::Broker) -> usize| site.brokers.iter().map(of).sum();
    let mut total = Outcomes::of(
        count(|broker| broker.deaths.load(Ordering::SeqCst)),
        count(|broker| broker.stops.load(Ordering::SeqCst)),
    );
    for schedule in &outcomes {
        total.check(
            schedule,
            &site.provider.uses(&schedule.connected.refresh_token),
        );
    }
    total
}

/// Answers of the token endpoint come late, or not at all.
fn distort(site: &Site, seed: u64) {
    let chance = Mutex::new(branch(seed, 99));
    site.provider
        .replies(Endpoint::Token, move |reply: &mut Reply| {
            let mut chance = chance.lock().unwrap();
            reply.pace = match chance.below(100) {
                0..8 => Pace::CutAfter(20),
                8..40 => Pace::After(Duration::from_millis(chance.below(400))),
                40..44 => Pace::After(Duration::from_millis(2_000 + chance.below(4_000))),
                _ => reply.pace,
            };
        });
}

/// The provider is away for moments.
async fn outages(site: &Site, seed: u64, end: Instant) {
    let mut chance = branch(seed, 98);
    loop {
        sleep(Duration::from_millis(2_000 + chance.below(4_000))).await;
        if Instant::now() >= end {
            return;
        }
        site.provider.set_up(false);
        sleep(Duration::from_millis(100 + chance.below(300))).await;
        site.provider.set_up(true);
    }
}

/// `calm`: when nothing disturbs it any more.
async fn run(site: &Site, seed: u64, crowd: usize, calm: Instant) -> ScheduleOutcome {
    let connected = site.connect(seed).await;
    let mut chance = branch(seed, 1);
    let kernels = (0..BROKERS * crowd).map(|number| {
        let begin = Duration::from_millis(chance.below(80));
        let chance = branch(seed, 100 + number as u64);
        draw(
            &site.kernels,
            &connected,
            (number % BROKERS, begin),
            (chance, calm),
        )
    });
    let endings: BTreeSet<_> = join_all(kernels).await.into_iter().collect();
    assert_eq!(
        endings.len(),
        1,
        "seed {seed}: kernels disagree: {endings:?}"
    );
    let ending = endings.into_iter().next().unwrap();
    if let Ending::Token(token) = &ending {
        let subject = site.provider.subject_of(token);
        assert_eq!(subject.as_ref(), Some(&connected.subject), "seed {seed}");
    }
    ScheduleOutcome {
        seed,
        connected,
        ending,
    }
}

/// A kernel that asks until it knows, at another broker where one does not answer.
pub(crate) async fn draw(
    kernels: &[KernelApi],
    connected: &Connected,
    (mut broker, begin): (usize, Duration),
    (mut chance, calm): (Seeded, Instant),
) -> Ending {
    sleep(begin).await;
    let end = calm.max(Instant::now()) + PATIENCE;
    let path = format!("/v1/connections/{}/token", connected.id);
    let mut last = String::new();
    while Instant::now() < end {
        let asked = kernels[broker].ask(
            Method::POST,
            &path,
            Some(json!({"min_valid_seconds": 30})),
            &[],
        );
        match timeout(ANSWER, asked).await {
            Ok(Ok((StatusCode::OK, answer))) => {
                let token = answer["access_token"].as_str().unwrap();
                return Ending::Token(token.to_owned());
            }
            Ok(Ok((StatusCode::CONFLICT, answer))) if answer["code"] == "sign_in_required" => {
                return Ending::SignIn;
            }
            Ok(Ok((StatusCode::SERVICE_UNAVAILABLE, answer))) => {
                last = answer["code"].to_string();
                let wait = answer["retry_after"].as_u64().unwrap().clamp(1, 3);
                sleep(Duration::from_millis(wait * 700 + chance.below(300))).await;
            }
            // It was killed, or stands still, or stood still while it read this request.
            Ok(Ok((StatusCode::REQUEST_TIMEOUT, _)) | Err(_)) | Err(_) => {
                broker = (broker + 1) % kernels.len();
                sleep(Duration::from_millis(50 + chance.below(100))).await;
            }
            Ok(Ok((status, answer))) => panic!("{connected:?}: {status} {}", answer["code"]),
        }
    }
    panic!("{connected:?}: neither a token nor an end; last {last}");
}

/// Afterwards every broker tells the same of a connection: whoever stood still has overwritten nothing.
async fn check_agreement(site: &Site, outcomes: &[ScheduleOutcome]) {
    for one in outcomes.iter().step_by(10) {
        for broker in 0..BROKERS {
            let chance = (Seeded::new(one.seed), Instant::now());
            let found = draw(
                &site.kernels,
                &one.connected,
                (broker, Duration::ZERO),
                chance,
            )
            .await;
            assert_eq!(found, one.ending, "seed {}: broker {broker}", one.seed);
        }
    }
}
