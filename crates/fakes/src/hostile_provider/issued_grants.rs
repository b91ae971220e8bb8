//! What a provider has granted: how refresh tokens are traded, and what is taken back.

use std::sync::{Mutex, MutexGuard};

use super::{Rotation, state::State};
use crate::fake_http::locked;

/// What a provider has granted: how refresh tokens are traded, and what is taken back.
#[derive(Debug, Clone, Copy)]
pub struct IssuedGrants<'p>(pub(super) &'p Mutex<State>);

impl IssuedGrants<'_> {
    /// What happens to a refresh token that is used; strict from the start.
    pub fn rotate(&self, rotation: Rotation) {
        self.state().grants.rotation = rotation;
    }

    /// Puts the nonce of a sign-in into the ID tokens of its refreshes too, as some providers do (OpenID Connect Core 1.0
    /// section 12.2); not from the start.
    pub fn repeat_nonce(&self) {
        self.state().grants.repeats_nonce = true;
    }

    /// Makes a refresh token as narrow as the request that it is used for, as some providers do; not from the start (RFC 6749
    /// section 6).
    pub fn narrow(&self) {
        self.state().grants.narrows = true;
    }

    /// Takes back every grant: the person signed out there, or an administrator did it.
    pub fn end(&self) {
        self.state().grants.end();
    }

    /// Gives no token for this audience, resource or issuer any more, neither by exchange nor by refresh.
    pub fn refuse_target(&self, target: &str) {
        self.state().refused_targets.insert(target.to_owned());
    }

    /// Takes this access token for exchanges no more, as if its session had ended.
    pub fn forget_access_token(&self, token: &str) {
        self.state().issued.remove(token);
    }

    /// How often a refresh token was traded for new tokens.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.state().grants.refreshes
    }

    /// How often a refresh token came that had been used before; each ended its grant.
    #[must_use]
    pub fn reuses(&self) -> usize {
        self.state().grants.reuses
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(self.0)
    }
}
