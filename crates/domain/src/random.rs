//! Chance as a parameter.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_protocol::secret::{
    CsrfToken, FlowCookie, OidcNonce, PkceVerifier, PollSecret, State, Ticket,
};
use hubkey_protocol::{ConnectionId, ErrorReference, Nonce, ShortId, prefixed};

/// A source of random bytes fit for secrets.
pub trait RandomSource: fmt::Debug + Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn RandomSource {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// Out of 0 to 1, in 256 steps: for times that many should not have alike.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let [byte] = self.bytes();
        f64::from(byte) / 255.0
    }

    /// About 1, up to a tenth off either way.
    #[must_use]
    pub fn spread(&self) -> f64 {
        0.9 + 0.2 * self.fraction()
    }

    /// Tells one from others.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// The short id of a new sign-in or connection.
    #[must_use]
    pub fn short_id(&self) -> ShortId {
        ShortId::from_random(self.bytes())
    }

    /// The nonce of a new sign-in.
    #[must_use]
    pub fn nonce(&self, short: &ShortId) -> Nonce {
        Nonce::from_random(short, self.bytes())
    }

    /// The id of a new connection.
    #[must_use]
    pub fn connection_id(&self) -> ConnectionId {
        ConnectionId::from_random(&self.short_id(), self.bytes())
    }

    /// A reference for an error page.
    #[must_use]
    pub fn reference(&self) -> ErrorReference {
        ErrorReference::from_random(self.bytes())
    }

    /// A ticket, 256 bits.
    #[must_use]
    pub fn ticket(&self, short: &ShortId) -> Ticket {
        Ticket::new(prefixed(short, &self.bytes::<32>()))
    }

    /// A state, 256 bits (RFC 6749 section 10.12).
    #[must_use]
    pub fn state(&self, short: &ShortId) -> State {
        State::new(prefixed(short, &self.bytes::<32>()))
    }

    /// A poll secret, 256 bits.
    #[must_use]
    pub fn poll_secret(&self) -> PollSecret {
        PollSecret::new(self.text())
    }

    /// A flow cookie, 256 bits.
    #[must_use]
    pub fn flow_cookie(&self) -> FlowCookie {
        FlowCookie::new(self.text())
    }

    /// A CSRF token, 256 bits.
    #[must_use]
    pub fn csrf(&self) -> CsrfToken {
        CsrfToken::new(self.text())
    }

    /// A PKCE verifier: 32 random bytes as 43 characters (RFC 7636 section 4.1).
    #[must_use]
    pub fn pkce_verifier(&self) -> PkceVerifier {
        PkceVerifier::new(self.text())
    }

    /// The id of one statement to a provider, 256 bits (RFC 7523 section 3).
    #[must_use]
    pub fn assertion_id(&self) -> String {
        self.text()
    }

    /// An OIDC nonce, 256 bits.
    #[must_use]
    pub fn oidc_nonce(&self) -> OidcNonce {
        OidcNonce::new(self.text())
    }
}
