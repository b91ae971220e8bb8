//! One refresh, and something that happens at each message of it: the broker is killed or stands still, or the message is
//! late or comes twice. Each run has a process, a provider and relays of its own; another broker goes on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hubkey_fakes::{
    hostile_provider::{HostileProvider, Rotation},
    kernel_api::KernelApi,
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{
    brokers::Broker,
    fixture::{Connected, Fixture},
    frames::Protocol,
    interceptor::{Fault, Interceptor, Plan, ProxyEvent},
    outcomes::{Ending, assert_apart},
    relay::Relay,
    schedule::draw,
    seeded::Seeded,
};

/// So many processes start at a time.
const STARTS: usize = 4;
/// Longer than anything takes, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_mins(2);
/// Within which there is a token, or somebody knows that there will be none: a lease, the pause before another look, and
/// what a kernel waits between its questions.
const LEASE_AND_LOOKS: Duration = Duration::from_secs(50);
/// The same where nobody has to wait for a lease.
const AT_ONCE: Duration = Duration::from_secs(20);
/// What was late has done by then what it could.
const SETTLED: Duration = Duration::from_secs(2);

/// Every fault at every message of a refresh. Gives how many runs there were.
pub(crate) async fn explore(rotation: Rotation) -> usize {
    let fixture = Fixture::start().await;
    let steps = Steps::find(&fixture).await;
    let runs = steps.plans().map(Some);
    let stages = join_all(runs.enumerate().map(async |(number, plan)| {
        let stage = Stage::build(format!("lab-{number}"), plan).await;
        stage.provider.grants().rotate(rotation);
        stage
    }));
    let stages = stages.await;
    let providers: Vec<_> = stages.iter().map(Stage::entry).collect();
    let settings = fixture.settings("other", &fixture.redis.url(), &providers);
    let other = Broker::start(fixture.run.path(), "other", &settings).await;
    let other = fixture.somebody.at(&other.url);
    let starts = Semaphore::new(STARTS);
    let runs = stages.iter().zip(0..).map(async |(stage, seed)| {
        let outcome = stage.run(&fixture, seed, &starts, &other).await;
        steps.judge(&outcome, rotation);
    });
    join_all(runs).await;
    stages.len()
}

/// The messages of a refresh that nothing disturbs.
#[derive(Debug)]
struct Steps {
    all: Vec<ProxyEvent>,
    /// The intent is written down.
    intended: ProxyEvent,
    /// The refresh token leaves.
    sent: ProxyEvent,
    /// What came of it is here.
    answered: ProxyEvent,
    /// That is written down.
    stored: ProxyEvent,
}

impl Steps {
    async fn find(fixture: &Fixture) -> Self {
        let mut all = Vec::new();
        // The first may have to load what the next ones find.
        for seed in [u64::MAX, u64::MAX - 1] {
            let stage = Stage::build(format!("lab-{seed}"), None).await;
            all = stage.watch(fixture, seed).await;
        }
        let place = |what: &str| {
            let found = all.iter().position(|event| event.what == what);
            found.unwrap_or_else(|| panic!("no {what}: {all:?}"))
        };
        let (sent, answered) = (place("POST /token"), place("answer to POST /token"));
        let commits = |event: &&ProxyEvent| event.what == "EVALSHA";
        let intended = all[..sent].iter().rfind(commits).unwrap();
        let stored = all[answered..].iter().find(commits).unwrap();
        Self {
            intended: intended.clone(),
            sent: all[sent].clone(),
            answered: all[answered].clone(),
            stored: stored.clone(),
            all,
        }
    }

    fn plans(&self) -> impl Iterator<Item = Plan> {
        self.all.iter().flat_map(|event| {
            let faults = faults(event).into_iter();
            faults.map(|fault| Plan {
                event: event.clone(),
                fault,
            })
        })
    }

    /// Whether the provider has answered, or will, and nobody will have written that down when the lease ends.
    fn loses(&self, outcome: &RunOutcome) -> bool {
        let event = &outcome.plan.event;
        match outcome.plan.fault {
            Fault::KillBefore | Fault::KillAfter | Fault::Stop => {
                outcome.passed(&self.sent) && !outcome.passed(&self.stored)
            }
            // The broker gives up waiting. What it has to write down goes to Redis by another connection.
            Fault::Delay => *event == self.answered,
            // The copy got the new tokens, and nobody heard of them.
            Fault::Overtake => *event == self.sent,
            Fault::Repeat => false,
        }
    }

    /// Whether the next broker may have to wait for a lease.
    fn leaves_a_lease(&self, outcome: &RunOutcome) -> bool {
        match outcome.plan.fault {
            Fault::KillBefore | Fault::KillAfter | Fault::Stop | Fault::Delay => {
                outcome.passed(&self.intended) && !outcome.passed(&self.stored)
            }
            Fault::Overtake | Fault::Repeat => false,
        }
    }

    /// How often the provider gets the refresh token. Once more than brokers send it where a copy is made, or where it is
    /// so late that another came first.
    fn uses(&self, outcome: &RunOutcome) -> usize {
        let event = &outcome.plan.event;
        let again = match outcome.plan.fault {
            Fault::Delay | Fault::Overtake => *event == self.sent,
            Fault::Repeat => *event == self.answered,
            Fault::KillBefore | Fault::KillAfter | Fault::Stop => false,
        };
        1 + usize::from(again || self.loses(outcome))
    }

    /// A person has to sign in only where the answer of the provider got lost and the provider knows of no grace: it takes
    /// the recovery, or the copy, for a theft, as RFC 9700 section 4.14.2 wants it to.
    fn judge(&self, outcome: &RunOutcome, rotation: Rotation) {
        let name = format!("{outcome:#?}");
        assert_apart(&name, &outcome.sent);
        let ends = self.loses(outcome) && rotation == Rotation::Strict;
        assert_eq!(outcome.ending == Ending::SignIn, ends, "{name}");
        assert_eq!(outcome.uses, self.uses(outcome), "{name}");
        let bound = if self.leaves_a_lease(outcome) {
            LEASE_AND_LOOKS
        } else {
            AT_ONCE
        };
        assert!(outcome.took < bound, "{name}");
    }
}

/// What can happen at it. TCP gives an order and no copies, so only a request of HTTP, which something in between may
/// send again, can come twice.
fn faults(event: &ProxyEvent) -> Vec<Fault> {
    let mut faults = vec![
        Fault::KillBefore,
        Fault::KillAfter,
        Fault::Stop,
        Fault::Delay,
    ];
    let http = ["GET ", "POST "];
    if http.iter().any(|method| event.what.starts_with(method)) {
        faults.push(Fault::Overtake);
    }
    if http
        .iter()
        .any(|method| event.what.contains(&format!("answer to {method}")))
    {
        faults.push(Fault::Repeat);
    }
    faults
}

/// What came of a run.
#[derive(Debug)]
struct RunOutcome {
    plan: Plan,
    /// All messages up to that of the plan, and what the broker had sent already.
    seen: Vec<ProxyEvent>,
    ending: Ending,
    /// From the fault on.
    took: Duration,
    /// When brokers sent the refresh token.
    sent: Vec<Instant>,
    /// How often it came to the provider.
    uses: usize,
}

impl RunOutcome {
    /// Whether this message had been passed on when the broker was killed or stopped. Wake-ups come beside the others, so
    /// that this is not the same in each run.
    fn passed(&self, event: &ProxyEvent) -> bool {
        let lost = self.plan.fault == Fault::KillBefore && *event == self.plan.event;
        !lost && self.seen.contains(event)
    }
}

/// A provider and the relays of one broker.
struct Stage {
    id: String,
    interceptor: Arc<Interceptor>,
    plan: Option<Plan>,
    provider: HostileProvider,
    to_provider: Relay,
}

impl Stage {
    async fn build(id: String, plan: Option<Plan>) -> Self {
        let interceptor = Interceptor::new(plan.clone());
        let mut to_provider = Relay::bind().await;
        let issuer = format!("http://{}", to_provider.address());
        let provider = HostileProvider::start_behind(&issuer).await.unwrap();
        to_provider.lead(Protocol::Http, provider.address(), &interceptor);
        Self {
            id,
            interceptor,
            plan,
            provider,
            to_provider,
        }
    }

    /// Id and issuer.
    fn entry(&self) -> (String, String) {
        (self.id.clone(), self.provider.issuer())
    }

    /// Its broker refreshes and nothing happens. Gives what was seen.
    async fn watch(&self, fixture: &Fixture, seed: u64) -> Vec<ProxyEvent> {
        let (connected, own, _to_redis) = self.begin(fixture, seed).await;
        let ending = drawn(&fixture.somebody.at(&own.url), &connected).await;
        assert!(matches!(ending, Ending::Token(_)), "{ending:?}");
        // The last wake-up may come after the token.
        sleep(SETTLED).await;
        self.interceptor.seen().await
    }

    /// Its broker refreshes until it happens; then another is asked.
    async fn run(
        &self,
        fixture: &Fixture,
        seed: u64,
        starts: &Semaphore,
        other: &KernelApi,
    ) -> RunOutcome {
        let plan = self.plan.clone().unwrap();
        let start = starts.acquire().await.unwrap();
        let (connected, own, _to_redis) = self.begin(fixture, seed).await;
        drop(start);
        let own = fixture.somebody.at(&own.url);
        let drawing = ask(&own, &connected);
        let (took, ending) = {
            tokio::pin!(drawing);
            let others = async {
                let reached = timeout(PATIENCE, self.interceptor.reached()).await;
                assert!(
                    reached.is_ok(),
                    "{plan:?}: {:?}",
                    self.interceptor.seen().await
                );
                let began = Instant::now();
                let ending = self.drawn(&connected, other).await;
                (began.elapsed(), ending)
            };
            tokio::join!(others, drawing).0
        };
        timeout(PATIENCE, self.interceptor.over()).await.unwrap();
        sleep(SETTLED).await;
        self.agree(&plan, &connected, &ending, [other, &own]).await;
        RunOutcome {
            ending,
            took,
            seen: self.interceptor.seen().await,
            sent: self.interceptor.sent().await,
            uses: self.provider.uses(&connected.refresh_token).len(),
            plan,
        }
    }

    /// A broker process behind a relay of its own, a connection whose token is over, and a watch from now on.
    async fn begin(&self, fixture: &Fixture, seed: u64) -> (Connected, Arc<Broker>, Relay) {
        let mut to_redis = Relay::bind().await;
        let port = fixture.redis.port();
        let redis = ([127, 0, 0, 1], port).into();
        to_redis.lead(Protocol::Redis, redis, &self.interceptor);
        let relayed = to_redis.address().port().to_string();
        let url = fixture.redis.url().replace(&port.to_string(), &relayed);
        let name = format!("own-{}", self.id);
        let settings = fixture.settings(&name, &url, &[self.entry()]);
        let own = Broker::start(fixture.run.path(), &name, &settings).await;
        let connected = fixture.connect(&self.provider, &self.id, seed).await;
        let own = Arc::new(own);
        let token = &connected.refresh_token;
        self.interceptor
            .arm(Arc::clone(&own), token, self.to_provider.address());
        (connected, own, to_redis)
    }

    async fn drawn(&self, connected: &Connected, broker: &KernelApi) -> Ending {
        let ending = drawn(broker, connected).await;
        if let Ending::Token(token) = &ending {
            let subject = self.provider.subject_of(token);
            assert_eq!(subject.as_ref(), Some(&connected.subject));
        }
        ending
    }

    /// Everybody who lives tells the same: whoever stood still, or was late, has overwritten nothing.
    async fn agree(
        &self,
        plan: &Plan,
        connected: &Connected,
        ending: &Ending,
        brokers: [&KernelApi; 2],
    ) {
        let killed = matches!(plan.fault, Fault::KillBefore | Fault::KillAfter);
        for broker in brokers.iter().take(if killed { 1 } else { 2 }) {
            let again = self.drawn(connected, broker).await;
            assert_eq!(again, *ending, "{plan:?}");
        }
    }
}

/// What a kernel gets that asks this broker until it knows.
async fn drawn(broker: &KernelApi, connected: &Connected) -> Ending {
    let chance = (Seeded::new(0), tokio::time::Instant::now());
    let kernels = std::slice::from_ref(broker);
    draw(kernels, connected, (0, Duration::ZERO), chance).await
}

/// Asks once. Whatever comes of it, somebody else is asked afterwards.
async fn ask(broker: &KernelApi, connected: &Connected) {
    let path = format!("/v1/connections/{}/token", connected.id);
    let _ = broker
        .ask(
            Method::POST,
            &path,
            Some(json!({"min_valid_seconds": 30})),
            &[],
        )
        .await;
}
