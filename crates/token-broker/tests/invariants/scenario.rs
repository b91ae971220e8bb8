//! One scenario: the browsers' side.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use hubkey_fakes::{
    hostile_provider::{Account, Endpoint, HostileProvider},
    scripted_hub::Fault,
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    actions::{Action, Pick},
    ledger::{Handed, Invariant, Ledger},
    support::{
        audit::AuditTrail,
        browser::{Reply, TestBrowser, ask, parameter},
        kernel::TestKernel,
        probe::CommitFault,
        world::World,
    },
};

pub(crate) const PEOPLE: [&str; 2] = ["alice", "mallory"];
const SERVERS: [&str; 2] = ["", "gpu"];
const ACCOUNTS: [&str; 3] = ["op-alice", "op-mallory", "op-third"];

/// What a browser would do next.
#[derive(Debug, Clone)]
enum Next {
    Nothing,
    /// Open the Hub's authorize page.
    Hub(String),
    /// Open the provider's.
    Provider(String),
    /// Look at the flow's page.
    Page(String),
    /// Press a button.
    Decide(&'static str, String, String),
}

/// A step as callback-server would relay it.
#[derive(Debug, Clone)]
struct Step {
    path: String,
    body: Value,
}

pub(crate) struct Scenario<'w> {
    pub(crate) world: &'w World,
    pub(crate) watched: Invariant,
    pub(crate) trail: AuditTrail,
    pub(crate) ledger: Ledger,
    pub(crate) kernels: Vec<(usize, TestKernel)>,
    pub(crate) kernel_answers: Vec<String>,
    /// Every server token that there was.
    pub(crate) server_tokens: Vec<String>,
    pub(crate) hub_is_up: bool,
    handed: Arc<Mutex<Vec<Handed>>>,
    browsers: Vec<(TestBrowser<'w>, Next)>,
    steps: Vec<Step>,
    /// Redirects that any browser got, and whether they lead to the Hub.
    redirects: Vec<(bool, String)>,
    provider_is_up: bool,
    passed: Arc<AtomicI64>,
}

impl<'w> Scenario<'w> {
    pub(crate) fn begin(world: &'w World, watched: Invariant) -> Self {
        let passed = Arc::new(AtomicI64::new(0));
        let kernels: Vec<_> = (0..4)
            .map(|n| (n / 2, world.kernel(PEOPLE[n / 2], SERVERS[n % 2])))
            .collect();
        Self {
            world,
            watched,
            trail: AuditTrail::begin(),
            ledger: Ledger::default(),
            server_tokens: kernels
                .iter()
                .map(|(_, kernel)| kernel.token.clone())
                .collect(),
            kernels,
            kernel_answers: Vec::new(),
            hub_is_up: true,
            handed: watch(&world.provider, &passed),
            browsers: PEOPLE
                .map(|user| (world.browser(user), Next::Nothing))
                .into(),
            steps: Vec::new(),
            redirects: Vec::new(),
            provider_is_up: true,
            passed,
        }
    }

    /// Fails the test, if the invariant is the one that is watched.
    pub(crate) fn hold(&self, invariant: Invariant, holds: bool, what: &str) {
        assert!(holds || self.watched != invariant, "{invariant:?}: {what}");
    }

    pub(crate) fn handed(&self) -> Vec<Handed> {
        self.handed.lock().unwrap().clone()
    }

    pub(crate) async fn act(&mut self, action: Action) {
        match action {
            Action::Start(browser, link) => self.start(browser, link).await,
            Action::Go(browser) => self.go(browser, 1).await,
            Action::Outage(browser) => {
                let before = self.hub_is_up;
                self.change(Action::HubIsUp(false));
                self.go(browser, 1).await;
                self.change(Action::HubIsUp(before));
            }
            Action::Rush(browser) => self.go(browser, 3).await,
            Action::Replay(step, cookie, keep) => self.replay(step, cookie, keep).await,
            Action::Forward(browser, url) => self.forward(browser, url).await,
            Action::Decline(browser) => self.decline(browser).await,
            Action::Whole(kernel, times, dark) => self.whole(kernel, times, dark).await,
            Action::Open(kernel) => self.open(kernel).await,
            Action::Poll(kernel, sign_in, secret) => self.poll(kernel, sign_in, secret).await,
            Action::Acknowledge(kernel, sign_in, secret) => {
                self.end_of_kernel("ack", kernel, sign_in, secret).await;
            }
            Action::Cancel(kernel, sign_in, secret) => {
                self.end_of_kernel("", kernel, sign_in, secret).await;
            }
            Action::Draw(kernel) => self.draw(kernel).await,
            circumstance => self.change(circumstance),
        }
    }

    fn change(&mut self, circumstance: Action) {
        match circumstance {
            Action::Pass(seconds) => {
                self.world.clock.advance(Duration::from_secs(seconds));
                let seconds = i64::try_from(seconds).unwrap();
                self.passed.fetch_add(seconds, Ordering::SeqCst);
            }
            Action::LogOut(user) => {
                self.world.hub.log_out(PEOPLE[user]);
                self.ledger.sessions[user] += 1;
            }
            Action::Restart(kernel) => {
                let (user, old) = &self.kernels[kernel];
                self.world.hub.revoke(&old.token);
                let new = self.world.kernel(PEOPLE[*user], SERVERS[kernel % 2]);
                self.server_tokens.push(new.token.clone());
                self.kernels[kernel].1 = new;
            }
            Action::HubIsUp(up) => {
                self.hub_is_up = up;
                let fault = if up { Fault::None } else { Fault::Down };
                self.world.hub.fault(fault);
            }
            Action::ProviderIsUp(up) => {
                self.provider_is_up = up;
                self.world.provider.set_up(up);
            }
            Action::StoreIsUp(up) => self.world.probe.set_down(!up),
            Action::LoseCommit(after, answer_only) => {
                let fault = if answer_only {
                    CommitFault::AnswerLost
                } else {
                    CommitFault::Lost
                };
                let mut faults = vec![CommitFault::None; after];
                faults.push(fault);
                self.world.probe.next_commits(&faults);
            }
            Action::Account(account) => {
                self.world
                    .provider
                    .sign_in_as(Account::new(ACCOUNTS[account]));
            }
            _ => {}
        }
    }

    async fn start(&mut self, browser: usize, link: Pick) {
        let Some(index) = link.of(self.ledger.attempts.len()) else {
            return;
        };
        let ticket = self.ledger.attempts[index].opened.ticket().to_owned();
        let step = Step {
            path: "start".to_owned(),
            body: json!({"ticket": ticket}),
        };
        self.take(browser, step, 1).await;
    }

    async fn go(&mut self, browser: usize, times: usize) {
        let next = std::mem::replace(&mut self.browsers[browser].1, Next::Nothing);
        let step = match next {
            Next::Nothing => None,
            Next::Hub(url) => self.visit(browser, true, &url).await,
            Next::Provider(url) => self.visit(browser, false, &url).await,
            Next::Page(flow) => Some(self.looking(browser, &flow)),
            Next::Decide(path, flow, csrf) => {
                Some(self.deciding(browser, path, (flow, csrf), "accept"))
            }
        };
        if let Some(step) = step {
            self.take(browser, step, times).await;
        }
    }

    async fn decline(&mut self, browser: usize) {
        if let Next::Decide(path, flow, csrf) = self.browsers[browser].1.clone() {
            let step = self.deciding(browser, path, (flow, csrf), "cancel");
            self.take(browser, step, 1).await;
        }
    }

    async fn forward(&mut self, browser: usize, url: Pick) {
        if let Some(index) = url.of(self.redirects.len()) {
            let (to_hub, url) = self.redirects[index].clone();
            if let Some(step) = self.visit(browser, to_hub, &url).await {
                self.take(browser, step, 1).await;
            }
        }
    }

    async fn replay(&mut self, step: Pick, cookie: Option<Pick>, keep: bool) {
        let Some(index) = step.of(self.steps.len()) else {
            return;
        };
        let mut step = self.steps[index].clone();
        let cookies: Vec<_> = self.ledger.cookies.keys().cloned().collect();
        if !keep {
            let other = cookie.and_then(|cookie| cookie.of(cookies.len()));
            step.body["flow_cookie"] = json!(other.map(|other| &cookies[other]));
        }
        self.ask_and_judge(&step, 1).await;
    }

    async fn whole(&mut self, kernel: usize, times: usize, dark: usize) {
        let before = self.ledger.attempts.len();
        self.open(kernel).await;
        if self.ledger.attempts.len() == before {
            return;
        }
        let browser = self.kernels[kernel].0;
        self.start(browser, Pick::NEWEST).await;
        for step in 0..5 {
            let before = self.hub_is_up;
            self.change(Action::HubIsUp(before && step != dark));
            self.go(browser, times).await;
            self.change(Action::HubIsUp(before));
        }
        self.poll(kernel, Pick::NEWEST, Pick::NEWEST).await;
    }

    /// Follows a redirect to Hub or provider, and comes back.
    async fn visit(&mut self, browser: usize, to_hub: bool, url: &str) -> Option<Step> {
        let seat = &self.browsers[browser].0;
        if to_hub {
            if !self.hub_is_up {
                return None;
            }
            let back = seat.at_hub(url).await;
            let (state, code) = (parameter(&back, "state")?, parameter(&back, "code")?);
            let body = json!({"state": state, "code": code, "flow_cookie": seat.cookie_of(&state)});
            self.ledger.hub_codes.insert(code, browser);
            let path = "hub-callback".to_owned();
            return Some(Step { path, body });
        }
        if !self.provider_is_up {
            return None;
        }
        let back = seat.at_provider(url).await;
        let body = seat.returned(&back);
        let attempt = self.ledger.attempt_of(&parameter(&back, "state")?)?;
        self.ledger.attempts[attempt]
            .codes
            .extend(parameter(&back, "code"));
        let path = "callback/lab-api".to_owned();
        Some(Step { path, body })
    }

    fn looking(&self, browser: usize, flow: &str) -> Step {
        let cookie = self.browsers[browser].0.cookies.get(flow);
        Step {
            path: "view".to_owned(),
            body: json!({"flow": flow, "flow_cookie": cookie}),
        }
    }

    fn deciding(
        &self,
        browser: usize,
        path: &str,
        (flow, csrf): (String, String),
        decision: &str,
    ) -> Step {
        let cookie = self.browsers[browser].0.cookies.get(&flow);
        Step {
            path: path.to_owned(),
            body: json!({"flow": flow, "flow_cookie": cookie, "csrf": csrf, "decision": decision}),
        }
    }

    /// A browser takes a step, so many times at once.
    async fn take(&mut self, browser: usize, step: Step, times: usize) {
        let replies = self.ask_and_judge(&step, times).await;
        let taken = replies.iter().find(|reply| reply.kind() != "refused");
        let seat = &mut self.browsers[browser];
        if let Some(reply) = taken {
            if let Some(set) = reply.0["set_cookie"].as_object() {
                let text = |name: &str| set[name].as_str().unwrap().to_owned();
                seat.0.cookies.insert(text("flow"), text("value"));
            }
            seat.1 = next(reply, &step);
        }
        self.steps.push(step);
    }

    async fn ask_and_judge(&mut self, step: &Step, times: usize) -> Vec<Reply> {
        // What fails at the store may have been done all the same.
        let calm = self.world.probe.is_calm();
        let before = self.codes_sent().len();
        let asked = (0..times).map(|_| ask(self.world, &step.path, &step.body));
        let replies = join_all(asked).await;
        self.hold(
            Invariant::FailClosed,
            self.hub_is_up || self.codes_sent().len() == before,
            "a code was redeemed without the Hub",
        );
        self.judge(step, &replies, calm);
        replies
    }

    /// The codes that were sent to the provider, which is asked for refreshes too.
    pub(crate) fn codes_sent(&self) -> Vec<String> {
        let asked = self.world.provider.requests(Endpoint::Token);
        let codes = asked
            .iter()
            .filter_map(|request| request.form_value("code"));
        codes.collect()
    }

    fn judge(&mut self, step: &Step, replies: &[Reply], calm: bool) {
        let taken: Vec<_> = replies
            .iter()
            .filter(|reply| reply.kind() != "refused")
            .collect();
        let once = !["start", "view"].contains(&&*step.path);
        self.hold(Invariant::Once, !once || taken.len() <= 1, &step.path);
        let asks_hub = once && step.path != "continue" && step.body["decision"] != "cancel";
        let ended = |reply: &Reply| reply.kind() == "view" && step.path == "callback/lab-api";
        self.hold(
            Invariant::FailClosed,
            self.hub_is_up || !asks_hub || taken.iter().all(|reply| ended(reply)),
            &step.path,
        );
        if self.hub_is_up && (!taken.is_empty() || !calm) {
            let handed = self.handed();
            self.ledger.note_step(&step.path, &step.body, &handed);
        }
        for reply in taken {
            self.note_reply(reply, step);
        }
    }

    fn note_reply(&mut self, reply: &Reply, step: &Step) {
        if let Some(cookie) = reply.0["set_cookie"]["value"].as_str() {
            let flow = reply.0["set_cookie"]["flow"].as_str().unwrap_or_default();
            if let Some(attempt) = self.ledger.attempt_of(flow) {
                self.ledger.cookies.insert(cookie.to_owned(), attempt);
            }
        }
        if let (Some(csrf), Some(cookie)) = (
            reply.page()["csrf"].as_str(),
            step.body["flow_cookie"].as_str(),
        ) {
            self.ledger.csrf.insert(csrf.to_owned(), cookie.to_owned());
        }
        if !["redirect", "redirect_page"].contains(&reply.kind()) {
            return;
        }
        let url: Url = reply.location().parse().unwrap();
        let to_hub = step.path == "start";
        let attempt = parameter(&url, "state").and_then(|state| self.ledger.attempt_of(&state));
        if let (Some(attempt), Some(oidc_nonce)) = (attempt, parameter(&url, "nonce")) {
            self.ledger.oidc_nonces.insert(oidc_nonce, attempt);
        }
        self.redirects.push((to_hub, url.into()));
    }
}

/// What an answer leads a browser to.
fn next(reply: &Reply, step: &Step) -> Next {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match reply.kind() {
        "redirect" if step.path == "start" => Next::Hub(reply.location().to_owned()),
        "redirect" | "redirect_page" => Next::Provider(reply.location().to_owned()),
        "view" => Next::Page(reply.flow().to_owned()),
        _ => {
            let page = reply.page();
            let path = match page["page"].as_str() {
                Some("start") => "continue",
                Some("confirm") => "confirm",
                _ => return Next::Nothing,
            };
            Next::Decide(path, text(&page["flow"]), text(&page["csrf"]))
        }
    }
}

/// Notes what the provider hands out, and lets its ID tokens move with the test's clock.
fn watch(provider: &HostileProvider, passed: &Arc<AtomicI64>) -> Arc<Mutex<Vec<Handed>>> {
    let passed = Arc::clone(passed);
    // By its nonce each token is known to be of one sign-in, also after a refresh.
    provider.grants().repeat_nonce();
    provider.id_tokens(move |token| {
        for claim in ["iat", "exp", "auth_time"] {
            token.shift(claim, passed.load(Ordering::SeqCst));
        }
    });
    let handed: Arc<Mutex<Vec<Handed>>> = Arc::default();
    let seen = Arc::clone(&handed);
    provider.replies(Endpoint::Token, move |reply| {
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id_token = text(&answer["id_token"]);
        let claims = id_token.split('.').nth(1).unwrap_or_default();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
        if answer["access_token"].is_string() {
            seen.lock().unwrap().push(Handed {
                access: text(&answer["access_token"]),
                refresh: text(&answer["refresh_token"]),
                sub: text(&claims["sub"]),
                oidc_nonce: text(&claims["nonce"]),
                id_token,
            });
        }
    });
    handed
}
