//! One scenario: what is judged when it is over.

use std::collections::BTreeSet;

use hubkey_fakes::{hostile_provider::Endpoint, scripted_hub::HubEndpoint};

use crate::{
    ledger::Invariant,
    scenario::Scenario,
    support::world::{CLIENT_SECRET, SERVICE_TOKEN, SHARED_SECRET},
};

impl Scenario<'_> {
    /// Judges what remains; gives how often a token was delivered.
    pub(crate) fn end(&self, stored: &[Vec<u8>]) -> usize {
        self.each_code_once();
        self.secrets_stay(stored);
        self.ledger.deliveries
    }

    fn each_code_once(&self) {
        let codes = self.codes_sent();
        let distinct: BTreeSet<_> = codes.iter().collect();
        self.hold(
            Invariant::Once,
            distinct.len() == codes.len(),
            "a code came twice",
        );
        for attempt in &self.ledger.attempts {
            let sent = codes.iter().filter(|code| attempt.codes.contains(*code));
            self.hold(
                Invariant::Once,
                sent.count() <= 1,
                "two exchanges of one sign-in",
            );
        }
        let at_hub = self.world.hub.requests(HubEndpoint::Token);
        let codes: Vec<_> = at_hub
            .iter()
            .filter_map(|request| request.form_value("code"))
            .collect();
        let distinct: BTreeSet<_> = codes.iter().collect();
        self.hold(
            Invariant::Once,
            distinct.len() == codes.len(),
            "a Hub code came twice",
        );
    }

    /// What nobody but the broker, the Hub and the provider may see.
    fn inner_secrets(&self) -> BTreeSet<String> {
        let mut secrets: BTreeSet<String> = [CLIENT_SECRET, SERVICE_TOKEN, SHARED_SECRET]
            .map(str::to_owned)
            .into();
        secrets.extend(self.server_tokens.iter().cloned());
        let asked = self.world.hub.requests(HubEndpoint::User);
        let tokens = asked
            .iter()
            .filter_map(|request| request.authorization()?.split(' ').next_back());
        secrets.extend(tokens.map(str::to_owned));
        for handed in self.handed() {
            secrets.extend([handed.refresh, handed.id_token]);
        }
        let exchanges = self.world.provider.requests(Endpoint::Token);
        secrets.extend(
            exchanges
                .iter()
                .filter_map(|request| request.form_value("code_verifier")),
        );
        secrets
    }

    fn secrets_stay(&self, stored: &[Vec<u8>]) {
        let inner = self.inner_secrets();
        let access: BTreeSet<_> = self.handed().into_iter().map(|one| one.access).collect();
        let kernels: BTreeSet<_> = self
            .ledger
            .attempts
            .iter()
            .flat_map(|attempt| {
                [
                    attempt.opened.poll_secret.clone(),
                    attempt.opened.ticket().to_owned(),
                ]
            })
            .collect();
        let browsers: BTreeSet<_> = self
            .ledger
            .cookies
            .keys()
            .chain(self.ledger.csrf.keys())
            .cloned()
            .collect();
        let pages = self.world.internal_answers.lock().unwrap().join("\n");
        let answers = self.kernel_answers.join("\n");
        let events = self.trail.events().join("\n");
        let mut outputs = vec![
            (
                "an answer to a browser",
                pages,
                vec![&inner, &access, &kernels],
            ),
            ("an answer to a kernel", answers, vec![&inner, &browsers]),
            (
                "an event",
                events,
                vec![&inner, &access, &kernels, &browsers],
            ),
        ];
        let records: Vec<_> = stored
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes))
            .collect();
        let all = vec![&inner, &access, &kernels, &browsers];
        outputs.push(("the Redis", records.join("\n"), all));
        for (name, output, kinds) in outputs {
            for secret in kinds.into_iter().flatten() {
                let shown = secret.len() > 5 && output.contains(secret.as_str());
                self.hold(Invariant::Secrecy, !shown, name);
            }
        }
    }
}
