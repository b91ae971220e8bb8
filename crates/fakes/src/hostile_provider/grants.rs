//! Grants and their refresh tokens, by default as strict as providers come: each is good once, and one that comes again
//! ends its grant (RFC 9700, 4.14.2).

use std::collections::HashMap;
use std::time::Instant;

use super::records::Code;
use crate::fake_http::random_text;

/// What happens to a refresh token that is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// A new one takes its place; the old one must not come again.
    #[default]
    Strict,
    /// It stays good, and no other is sent.
    Keep,
    /// It stays good, and is sent again.
    Same,
    /// A new one is sent, and the old one stays good: a period of grace.
    Lenient,
}

/// Every grant and its refresh tokens.
#[derive(Debug, Default)]
pub(super) struct Grants {
    all: Vec<Grant>,
    /// Of which grant a refresh token is, and whether it was used up.
    tokens: HashMap<String, (usize, bool)>,
    /// When each refresh token came.
    pub(super) uses: HashMap<String, Vec<Instant>>,
    pub(super) rotation: Rotation,
    /// Whether the ID token of a refresh has the nonce of the sign-in.
    pub(super) repeats_nonce: bool,
    /// Whether a refresh token becomes as narrow as the request that it was used for.
    pub(super) narrows: bool,
    pub(super) refreshes: usize,
    pub(super) reuses: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) code: Code,
    pub(super) auth_time: u64,
    alive: bool,
}

impl Grants {
    /// A new grant's first refresh token.
    pub(super) fn begin(&mut self, code: &Code, auth_time: u64) -> String {
        self.all.push(Grant {
            code: code.clone(),
            auth_time,
            alive: true,
        });
        self.issue(self.all.len() - 1)
    }

    pub(super) fn end(&mut self) {
        for grant in &mut self.all {
            grant.alive = false;
        }
    }

    fn issue(&mut self, grant: usize) -> String {
        let token = random_text(32);
        self.tokens.insert(token.clone(), (grant, false));
        token
    }

    /// Makes the grant of a refresh token as narrow as this.
    pub(super) fn narrow(&mut self, token: &str, scope: &str) {
        if let Some((index, _)) = self.tokens.get(token).copied().filter(|_| self.narrows) {
            scope.clone_into(&mut self.all[index].code.scope);
        }
    }

    /// The grant of a refresh token that is good, and the refresh token that goes out with it.
    pub(super) fn trade(
        &mut self,
        token: &str,
        client_id: &str,
    ) -> Option<(Grant, Option<String>)> {
        let (index, used) = self.tokens.get(token).copied()?;
        let times = self.uses.entry(token.to_owned()).or_default();
        times.push(Instant::now());
        if used {
            self.reuses += 1;
            self.all[index].alive = false;
        }
        let grant = self.all[index].clone();
        if !grant.alive || grant.code.client_id != client_id {
            return None;
        }
        self.refreshes += 1;
        let next = match self.rotation {
            Rotation::Strict => {
                self.tokens.insert(token.to_owned(), (index, true));
                Some(self.issue(index))
            }
            Rotation::Keep => None,
            Rotation::Same => Some(token.to_owned()),
            Rotation::Lenient => Some(self.issue(index)),
        };
        Some((grant, next))
    }
}
