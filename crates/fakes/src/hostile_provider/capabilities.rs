//! What a provider can do and how it writes what it gives out.

use std::sync::{Mutex, MutexGuard};

use super::{Pushed, TokenKind, state::State};
use crate::fake_http::locked;

/// What a provider can do and how it writes what it gives out.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities<'p>(pub(super) &'p Mutex<State>);

impl Capabilities<'_> {
    /// Makes codes of so many characters from now on; some providers put a whole sealed record into them.
    pub fn use_codes_of(&self, length: usize) {
        self.state().code_length = Some(length);
    }

    /// Takes any code verifier, or none: a provider that does not know PKCE. Its metadata stays as it is.
    pub fn ignore_pkce(&self) {
        self.state().pkce = false;
    }

    /// Access tokens become JWTs of RFC 9068, to be changed as [`TokenKind::Access`].
    pub fn use_jwt_access_tokens(&self) {
        self.state().as_jwt.insert(TokenKind::Access);
    }

    /// Userinfo becomes a signed JWT, to be changed as [`TokenKind::UserInfo`].
    pub fn sign_userinfo(&self) {
        self.state().as_jwt.insert(TokenKind::UserInfo);
    }

    /// Whether it takes pushed authorization requests; not from the start.
    pub fn take_pushed_requests(&self, mode: Pushed) {
        self.state().pushed.mode = mode;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(self.0)
    }
}
