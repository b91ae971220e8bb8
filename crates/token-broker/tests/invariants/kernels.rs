//! One scenario: the kernels' side.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    actions::Pick,
    ledger::{Attempt, Invariant},
    scenario::Scenario,
    support::{
        kernel::{TestKernel, opened},
        world::{Answer, send},
    },
};

impl Scenario<'_> {
    pub(crate) async fn open(&mut self, kernel: usize) {
        let (user, kernel) = (self.kernels[kernel].0, self.copy(kernel));
        let answer = kernel.create(&json!({"provider": "lab-api"})).await;
        self.hold(
            Invariant::FailClosed,
            self.hub_is_up || !answer.status.is_success(),
            "a sign-in without the Hub",
        );
        if answer.status == StatusCode::CREATED {
            self.ledger.attempts.push(Attempt {
                opened: opened(&answer.json()),
                token: kernel.token.clone(),
                user,
                claimed: BTreeMap::default(),
                returned: BTreeSet::default(),
                confirmed: false,
                codes: BTreeSet::default(),
            });
        }
        self.hear(&kernel, &answer);
    }

    pub(crate) async fn poll(&mut self, kernel: usize, sign_in: Pick, secret: Pick) {
        self.of_sign_in((Method::GET, ""), kernel, sign_in, secret)
            .await;
    }

    /// `ack`, or else cancel.
    pub(crate) async fn end_of_kernel(
        &mut self,
        what: &'static str,
        kernel: usize,
        sign_in: Pick,
        secret: Pick,
    ) {
        let method = if what == "ack" {
            Method::POST
        } else {
            Method::DELETE
        };
        self.of_sign_in((method, what), kernel, sign_in, secret)
            .await;
    }

    async fn of_sign_in(
        &mut self,
        what: (Method, &str),
        kernel: usize,
        sign_in: Pick,
        secret: Pick,
    ) {
        let count = self.ledger.attempts.len();
        let (Some(index), Some(other)) = (sign_in.of(count), secret.of(count)) else {
            return;
        };
        let kernel = self.copy(kernel);
        let nonce = self.ledger.attempts[index].opened.nonce.clone();
        let secret = self.ledger.attempts[other].opened.poll_secret.clone();
        let own = index == other && self.ledger.attempts[index].token == kernel.token;
        let calm = self.world.probe.is_calm();
        let commits = self.world.probe.commits();
        let answer = self.ask_as(&kernel, &what, &nonce, &secret).await;
        if !own && calm {
            self.hold(
                Invariant::Isolation,
                self.world.probe.commits() == commits,
                "a foreign request changed something",
            );
            let invented = format!("{}.{}", &nonce[..6], "A".repeat(22));
            let unknown = self.ask_as(&kernel, &what, &invented, &secret).await;
            self.hold(
                Invariant::Isolation,
                answer.status == StatusCode::NOT_FOUND && answer.bytes == unknown.bytes,
                &format!("a foreign sign-in is told from none: {answer:?} {unknown:?}"),
            );
        }
        self.hold(
            Invariant::Delivery,
            own || !holds_token(&answer),
            "a token without the sign-in's own server token and poll secret",
        );
        self.hear(&kernel, &answer);
    }

    async fn ask_as(
        &self,
        kernel: &TestKernel,
        (method, what): &(Method, &str),
        nonce: &str,
        secret: &str,
    ) -> Answer {
        let path = match *what {
            "" => format!("/v1/sign-ins/{nonce}"),
            what => format!("/v1/sign-ins/{nonce}/{what}"),
        };
        let mut request = kernel.request(method.clone(), &path, None);
        let headers = request.headers_mut();
        headers.insert("hubkey-poll-secret", secret.parse().unwrap());
        send(&kernel.api, request).await
    }

    pub(crate) async fn draw(&mut self, kernel: usize) {
        let kernel = self.copy(kernel);
        let list = kernel.send(Method::GET, "/v1/connections", None).await;
        self.hear(&kernel, &list);
        let known: Vec<_> = self
            .ledger
            .connections
            .iter()
            .map(|(id, token)| (id.clone(), token.clone()))
            .collect();
        for (id, token) in known {
            let path = format!("/v1/connections/{id}/token");
            let body = json!({"min_valid_seconds": 1});
            let answer = kernel.send(Method::POST, &path, Some(&body)).await;
            self.hold(
                Invariant::Isolation,
                token == kernel.token || !answer.status.is_success(),
                "a foreign connection gave a token",
            );
            self.hear(&kernel, &answer);
        }
    }

    /// Judges an answer to a kernel.
    fn hear(&mut self, kernel: &TestKernel, answer: &Answer) {
        let text = String::from_utf8(answer.bytes.clone()).unwrap();
        let typed = answer.status.is_success() || !answer.code().is_empty();
        let faulty = answer.status == StatusCode::INTERNAL_SERVER_ERROR;
        self.hold(Invariant::FailClosed, typed && !faulty, &text);
        for handed in self.handed() {
            if !text.contains(&handed.access) {
                continue;
            }
            self.ledger.deliveries += 1;
            let index = self.ledger.oidc_nonces.get(&handed.oidc_nonce);
            let asked_for =
                index.is_some_and(|&index| self.ledger.attempts[index].token == kernel.token);
            self.hold(Invariant::Delivery, asked_for, "a token at another server");
            self.hold(
                Invariant::Binding,
                self.ledger.is_bound(&handed),
                "an unbound token",
            );
        }
        self.note_connections(kernel, &answer.json());
        self.kernel_answers.push(text);
    }

    fn note_connections(&mut self, kernel: &TestKernel, answer: &Value) {
        let listed = answer["connections"].as_array().into_iter().flatten();
        for connection in listed.chain([&answer["connection"]]) {
            if let Some(id) = connection["id"].as_str() {
                let known = self.ledger.connections.entry(id.to_owned());
                let token = known.or_insert_with(|| kernel.token.clone()).clone();
                self.hold(
                    Invariant::Isolation,
                    token == kernel.token,
                    "a connection shown to two servers",
                );
            }
        }
    }

    fn copy(&self, kernel: usize) -> TestKernel {
        let kernel = &self.kernels[kernel].1;
        TestKernel::new(kernel.api.clone(), kernel.token.clone())
    }
}

fn holds_token(answer: &Answer) -> bool {
    answer.json()["token"].is_object()
}
