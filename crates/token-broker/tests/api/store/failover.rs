//! The master of Redis dies at every step of a sign-in and of a refresh, and sentinels make another one of a replica
//! (rule R13). Real servers: a master, two replicas and three sentinels for each of a few stacks, side by side.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use hubkey_domain::refresh_state::RefreshTimes;
use hubkey_fakes::hostile_provider::{Account, Endpoint};
use hubkey_starters::redis::sentinels::Sentinels;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::support::{
    browser::{Reply, TestBrowser},
    failover_stage::{Doomed, Moment, open_store},
    kernel::{Connected, Opened, TestKernel, connected, opened},
    refresh_stage::ENDED,
    world::{Answer, World, WorldOptions},
};

/// How many groups of servers work side by side.
const STACKS: usize = 8;
/// How often a person starts again at worst.
const STARTS: usize = 3;
/// How often one request is repeated at worst.
const REPEATS: usize = 6;

/// What dies when.
#[derive(Debug, Clone, Copy)]
struct Case {
    number: usize,
    /// Whose commits are counted.
    step: Step,
    /// The commit at which the master dies, counted from 0.
    at: usize,
    moment: Moment,
    replicas_required: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    SignIn,
    Refresh,
    /// A refresh for fewer scopes, which uses the same refresh token.
    Scoped,
}

const MOMENTS: [Moment; 3] = [Moment::Before, Moment::After, Moment::Lost];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r13_a_failover_at_each_step_of_a_sign_in_and_of_a_refresh() {
    let (sign_in, refresh) = commits().await;
    assert!(sign_in >= 6 && refresh >= 2, "{sign_in}, {refresh}");
    let mut cases = Vec::new();
    for moment in MOMENTS {
        cases.extend((0..sign_in).map(|at| (Step::SignIn, at, moment, 0)));
        for replicas in [0, 1] {
            cases.extend((0..refresh).map(|at| (Step::Refresh, at, moment, replicas)));
        }
        cases.push((Step::Scoped, 0, moment, 0));
    }
    let numbered = cases.into_iter().enumerate();
    let cases = numbered.map(|(number, (step, at, moment, replicas_required))| Case {
        number,
        step,
        at,
        moment,
        replicas_required,
    });
    let cases = Arc::new(Mutex::new(cases.collect::<VecDeque<_>>()));
    join_all((0..STACKS).map(|stack| work_off(stack, Arc::clone(&cases)))).await;
}

async fn work_off(stack: usize, cases: Arc<Mutex<VecDeque<Case>>>) {
    let group = Sentinels::start(&format!("r13-{stack}")).await.unwrap();
    let group = Arc::new(Mutex::new(group));
    loop {
        let next = cases.lock().await.pop_front();
        let Some(case) = next else {
            return;
        };
        Stage::new(case, &group).await.play().await;
    }
}

/// How many commits a sign-in and a refresh take when nothing fails.
async fn commits() -> (usize, usize) {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let sign_in = world.probe.commits();
    world.clock.advance(ENDED);
    world.provider.id_tokens(|token| {
        for claim in ["iat", "exp"] {
            token.shift(claim, 301);
        }
    });
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );
    (sign_in, world.probe.commits() - sign_in)
}

/// One person with one kernel, and a store whose master dies.
struct Stage {
    case: Case,
    world: World,
    kernel: TestKernel,
    user: String,
    doomed: Arc<Doomed>,
}

impl Stage {
    async fn new(case: Case, group: &Arc<Mutex<Sentinels>>) -> Self {
        let store = open_store(&*group.lock().await, case.replicas_required).await;
        let doomed = Arc::new(Doomed::new(store, Arc::clone(group)));
        let store = Arc::clone(&doomed);
        let world = World::with(WorldOptions {
            store: Some(Box::new(move |_, _| store)),
            renewal: RefreshTimes {
                lease: Duration::from_secs(5),
                send_within: Duration::from_secs(4),
                recover_after: Duration::from_secs(1),
                wait: Duration::from_secs(2),
                ..RefreshTimes::default()
            },
            ..WorldOptions::default()
        })
        .await;
        // Everything is kept in one Redis for all cases, where nobody may have the account of another.
        let user = format!("alice-{}", case.number);
        world
            .provider
            .sign_in_as(Account::new(&format!("op-{user}")));
        let saviour = Arc::clone(&doomed);
        world.on_outage(move || {
            let saviour = Arc::clone(&saviour);
            Box::pin(async move { saviour.recover().await })
        });
        Self {
            case,
            kernel: world.kernel(&user, ""),
            world,
            user,
            doomed,
        }
    }

    async fn play(&self) {
        match self.case.step {
            Step::SignIn => self.sign_in().await,
            Step::Refresh => self.refresh().await,
            Step::Scoped => self.scoped().await,
        }
        self.doomed.recover().await;
        assert!(self.doomed.has_died(), "{:?} did not happen", self.case);
    }

    async fn sign_in(&self) {
        self.doomed.die_at(self.case.at, self.case.moment);
        let connection = self.persist().await;
        let answer = self.until_told(|| self.kernel.get_token(&connection.id, 0));
        let answer = answer.await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{:?} {}",
            self.case,
            answer.json()
        );
        self.nobody_else(&connection).await;
        self.codes_were_sent_once();
    }

    /// Starts again as long as something says so, which is at most a few times.
    async fn persist(&self) -> Connected {
        for _ in 0..STARTS {
            let answer = self.kernel_asks().await;
            if answer.json()["connection"].is_object() {
                return self.own(&answer.json());
            }
            let sign_in = opened(&answer.json());
            let mut browser = self.world.browser(&self.user);
            self.by_link(&mut browser, &sign_in).await;
            if let Some(connection) = self.collect(&sign_in).await {
                return connection;
            }
            // A person takes their time.
            self.doomed.recover().await;
        }
        panic!("{:?}: no sign-in came to its end", self.case);
    }

    async fn kernel_asks(&self) -> Answer {
        let body = json!({"provider": "lab-api"});
        let answer = self.until_told(|| self.kernel.create(&body)).await;
        assert!(
            answer.status.is_success(),
            "{:?} {}",
            self.case,
            answer.json()
        );
        answer
    }

    /// As far as the link leads.
    async fn by_link(&self, browser: &mut TestBrowser<'_>, sign_in: &Opened) -> Option<Reply> {
        let started = self.goes_on(browser.start(sign_in.ticket()).await)?;
        let back = browser.at_hub(started.location()).await;
        let mut reply = self.goes_on(browser.hub_callback(&back).await)?;
        if reply.kind() == "view" {
            let page = self.goes_on(browser.view(reply.flow()).await)?;
            reply = self.goes_on(browser.decide("continue", &page, "accept").await)?;
        }
        let back = browser.at_provider(reply.location()).await;
        let reply = self.goes_on(browser.callback("lab-api", &back).await)?;
        if reply.kind() != "view" {
            return Some(reply);
        }
        let page = self.goes_on(browser.view(reply.flow()).await)?;
        if page.page()["page"] != "confirm" {
            return Some(page);
        }
        self.goes_on(browser.decide("confirm", &page, "accept").await)
    }

    /// A refusal is one of the known ones.
    fn goes_on(&self, reply: Reply) -> Option<Reply> {
        if reply.kind() != "refused" {
            return Some(reply);
        }
        let known = ["unavailable", "forbidden", "invalid_link"];
        assert!(
            known.contains(&reply.refusal()),
            "{:?} {reply:?}",
            self.case
        );
        None
    }

    /// What the kernel gets, unless it has to start again.
    async fn collect(&self, sign_in: &Opened) -> Option<Connected> {
        let answer = self.until_told(|| self.kernel.poll(sign_in)).await;
        if answer.json()["status"] != "connected" {
            return None;
        }
        let connection = self.own(&answer.json());
        let acknowledged = self.until_told(|| self.kernel.acknowledge(sign_in));
        let status = acknowledged.await.status;
        assert!(
            [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND].contains(&status),
            "{:?} {status}",
            self.case
        );
        Some(connection)
    }

    /// The connection of an answer, which is this person's and nobody else's.
    fn own(&self, answer: &Value) -> Connected {
        let account = &answer["connection"]["account"]["sub"];
        assert_eq!(account, &format!("op-{}", self.user), "{:?}", self.case);
        connected(answer)
    }

    /// The answer, when there is one: 503 says that it has to be asked for again, and after how long.
    async fn until_told<F>(&self, ask: impl Fn() -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        for _ in 0..REPEATS {
            let answer = ask().await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            let known = ["store_unavailable", "refresh_in_progress", "overloaded"];
            let code = answer.code();
            assert!(known.contains(&code.as_str()), "{:?} {code}", self.case);
            answer.assert_problem(StatusCode::SERVICE_UNAVAILABLE, &code);
            self.doomed.recover().await;
        }
        panic!("{:?}: nothing but 503", self.case);
    }

    /// Another user, and another server of the same user, get nothing of it.
    async fn nobody_else(&self, connection: &Connected) {
        let mallory = format!("mallory-{}", self.case.number);
        for kernel in [
            self.world.kernel(&mallory, ""),
            self.world.kernel(&self.user, "other"),
        ] {
            let refused = self.until_told(|| kernel.get_token(&connection.id, 0));
            refused
                .await
                .assert_problem(StatusCode::NOT_FOUND, "not_found");
        }
    }

    /// No code comes twice to the provider, unless Redis has forgotten that it was sent.
    fn codes_were_sent_once(&self) {
        let requests = self.world.provider.requests(Endpoint::Token);
        let codes = requests
            .iter()
            .filter_map(|request| request.form_value("code"));
        let mut codes: Vec<String> = codes.collect();
        let sent = codes.len();
        codes.sort();
        codes.dedup();
        let forgotten = usize::from(matches!(self.case.moment, Moment::Lost));
        assert!(sent <= codes.len() + forgotten, "{:?}", self.case);
    }

    /// The intent is lost or not; the refresh token that came is kept, and the connection goes on.
    async fn scoped(&self) {
        let connection = self.connected_and_ended().await;
        self.doomed.die_at(self.case.at, self.case.moment);
        let path = format!("/v1/connections/{}/token", connection.id);
        let narrow = json!({"scopes": ["projects:read"]});
        let scoped = self.until_told(|| self.kernel.send(Method::POST, &path, Some(&narrow)));
        let scoped = scoped.await;
        self.doomed.recover().await;
        assert_eq!(
            scoped.status,
            StatusCode::OK,
            "{:?} {}",
            self.case,
            scoped.json()
        );
        let own = self
            .until_told(|| self.kernel.get_token(&connection.id, 0))
            .await;
        assert_eq!(own.status, StatusCode::OK, "{:?} {}", self.case, own.json());
        assert_eq!(self.world.provider.grants().reuses(), 0, "{:?}", self.case);
    }

    /// A connection whose token has ended.
    async fn connected_and_ended(&self) -> Connected {
        let connection = self.world.connect(&self.kernel, &self.user).await;
        self.world.clock.advance(ENDED);
        self.world.provider.id_tokens(|token| {
            for claim in ["iat", "exp"] {
                token.shift(claim, 301);
            }
        });
        connection
    }

    async fn refresh(&self) {
        let connection = self.connected_and_ended().await;
        self.doomed.die_at(self.case.at, self.case.moment);
        let first = self.until_told(|| self.kernel.get_token(&connection.id, 0));
        let first = first.await;
        self.doomed.recover().await;
        let again = self.until_told(|| self.kernel.get_token(&connection.id, 0));
        let again = again.await;
        self.nobody_else(&connection).await;
        let result_is_lost = matches!(self.case.moment, Moment::Lost)
            && self.case.at > 0
            && self.case.replicas_required == 0;
        if result_is_lost {
            // Redis had promised nothing. The provider finds it out, and a person signs in again.
            again.assert_problem(StatusCode::CONFLICT, "sign_in_required");
            return;
        }
        assert_eq!(
            first.status,
            StatusCode::OK,
            "{:?} {}",
            self.case,
            first.json()
        );
        assert_eq!(
            again.status,
            StatusCode::OK,
            "{:?} {}",
            self.case,
            again.json()
        );
        let token = |answer: &Answer| answer.json()["access_token"].as_str().map(str::to_owned);
        assert_eq!(token(&first), token(&again), "{:?}", self.case);
        assert_ne!(token(&again).unwrap(), connection.access_token);
        assert_eq!(
            self.world.provider.grants().refreshes(),
            1,
            "{:?}",
            self.case
        );
        assert_eq!(self.world.provider.grants().reuses(), 0, "{:?}", self.case);
    }
}
