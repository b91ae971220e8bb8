//! What the test knows of the scenario, from outside: who may have what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::kernel::Opened;

/// By which of the invariants of `docs/explanation/security.md` a scenario is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// I1
    Delivery,
    /// I2
    Binding,
    /// I3
    Secrecy,
    /// I4
    Once,
    /// I6
    FailClosed,
    /// I7
    Isolation,
}

impl Invariant {
    pub(crate) const ALL: [Self; 6] = [
        Self::Delivery,
        Self::Binding,
        Self::Secrecy,
        Self::Once,
        Self::FailClosed,
        Self::Isolation,
    ];
}

/// A sign-in and what its browser has proved.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) opened: Opened,
    /// The server token that asked, and whose it is.
    pub(crate) token: String,
    pub(crate) user: usize,
    /// Flow cookies with which the Hub named the right user, with the user's Hub session then.
    pub(crate) claimed: BTreeMap<String, usize>,
    /// Those of them that came back from the provider, in the same Hub session.
    pub(crate) returned: BTreeSet<String>,
    /// Whether Connect was pressed by such a browser.
    pub(crate) confirmed: bool,
    /// Codes that came back with a state of this sign-in.
    pub(crate) codes: BTreeSet<String>,
}

/// What a provider handed out with one code.
#[derive(Debug, Clone)]
pub(crate) struct Handed {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) id_token: String,
    pub(crate) sub: String,
    pub(crate) oidc_nonce: String,
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) attempts: Vec<Attempt>,
    /// Whose browser a Hub code was made in.
    pub(crate) hub_codes: BTreeMap<String, usize>,
    /// Of which sign-in a flow cookie is.
    pub(crate) cookies: BTreeMap<String, usize>,
    /// Of which flow cookie a CSRF token's page is.
    pub(crate) csrf: BTreeMap<String, String>,
    /// Of which sign-in an `oidc_nonce` is.
    pub(crate) oidc_nonces: BTreeMap<String, usize>,
    /// How often each person left the Hub.
    pub(crate) sessions: [usize; 2],
    /// Subjects that each person confirmed.
    pub(crate) pins: [BTreeSet<String>; 2],
    /// Connection ids by the server token that they were shown to.
    pub(crate) connections: BTreeMap<String, String>,
    pub(crate) deliveries: usize,
}

impl Ledger {
    /// The sign-in that a state, nonce or flow names.
    pub(crate) fn attempt_of(&self, prefixed: &str) -> Option<usize> {
        let short = prefixed.get(..6)?;
        self.attempts
            .iter()
            .position(|attempt| attempt.opened.nonce.starts_with(short))
    }

    /// Notes a step that was taken while the Hub answered.
    pub(crate) fn note_step(&mut self, step: &str, body: &Value, handed: &[Handed]) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let cookie = text("flow_cookie");
        let Some(&index) = self.cookies.get(&cookie) else {
            return;
        };
        let user = self.attempts[index].user;
        let session = self.sessions[user];
        let attempt = &mut self.attempts[index];
        let same_session = attempt.claimed.get(&cookie) == Some(&session);
        match step {
            "hub-callback" if self.hub_codes.get(&text("code")) == Some(&user) => {
                attempt.claimed.insert(cookie, session);
            }
            "callback/lab-api" if same_session => {
                attempt.returned.insert(cookie);
            }
            "confirm"
                if same_session
                    && body["decision"] == "accept"
                    && attempt.returned.contains(&cookie)
                    && self.csrf.get(&text("csrf")) == Some(&cookie) =>
            {
                attempt.confirmed = true;
                let of_attempt =
                    |one: &&Handed| self.oidc_nonces.get(&one.oidc_nonce) == Some(&index);
                // Whoever confirms an account later than somebody else is refused, on the page behind the answer.
                let is_free = |sub: &String| !self.pins[1 - user].contains(sub);
                let subjects = handed.iter().filter(of_attempt);
                let subjects: Vec<_> = subjects
                    .map(|one| one.sub.clone())
                    .filter(is_free)
                    .collect();
                self.pins[user].extend(subjects);
            }
            _ => {}
        }
    }

    /// Whether this token may be handed to this person: a browser of theirs fetched it, and they know the account.
    pub(crate) fn is_bound(&self, handed: &Handed) -> bool {
        let Some(&index) = self.oidc_nonces.get(&handed.oidc_nonce) else {
            return false;
        };
        let attempt = &self.attempts[index];
        let other = &self.pins[1 - attempt.user];
        !attempt.returned.is_empty()
            && (attempt.confirmed || self.pins[attempt.user].contains(&handed.sub))
            && !other.contains(&handed.sub)
    }
}
