//! The Hub: who is this kernel, who is this browser.

pub mod browser;
pub mod config;
pub mod failure_limiter;
pub mod http;
pub mod kernel;
mod server_token;
mod token_form;
pub mod user_model;

use std::{fmt, net::IpAddr, sync::Once};

use async_trait::async_trait;
use hubkey_domain::identity::{HubUser, ServerIdentity, ServerName};
use hubkey_protocol::secret::{
    AuthorizationCode, HubAccessToken, PkceVerifier, SecretUrl, ServerToken, State,
};

pub use http::HubPermit;

/// Warns once that the Hub does not say when its users were made, as it does to tokens with `read:users!user`.
#[derive(Debug)]
struct CreationTimeWarning {
    logged: Once,
    /// Where the operator gives tokens that scope.
    setting: &'static str,
}

impl CreationTimeWarning {
    const fn at(setting: &'static str) -> Self {
        Self {
            logged: Once::new(),
            setting,
        }
    }

    fn check(&self, user: &HubUser) {
        if user.created().is_some() {
            return;
        }
        self.logged.call_once(|| {
            tracing::warn!(
                setting = self.setting,
                "the Hub does not say when it made a user, so nobody can tell that person from who gets the name next: what \
                 one of their servers has is not handed to another or listed, and their account is asked about each time. \
                 Give read:users!user there, as hubkey.hub.configure does; servers that run already have to be restarted"
            );
        });
    }
}

/// Recognises kernels by the token of their single-user server.
#[async_trait]
pub trait KernelAuthenticator: fmt::Debug + Send + Sync {
    /// Who holds this token, if it is the token of a single-user server.
    ///
    /// Tokens that turn out to be none are counted against `client`, the address that the request came from (of the
    /// socket, or from a trusted proxy); against all together only where it is `None` or loopback.
    async fn authenticate(
        &self,
        token: &ServerToken,
        freshness: Freshness,
        client: Option<IpAddr>,
    ) -> Result<ServerIdentity, KernelError>;

    /// Whether this is the API token of the service that hubkey is to the Hub, which only the Hub itself has beside
    /// the broker. Compared in constant time; nobody is asked.
    fn is_service_token(&self, token: &ServerToken) -> bool;
}

/// How old the Hub's answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Up to 30 s.
    Cached,
    /// From now on: when a sign-in is opened, and before the first delivery.
    Fresh,
}

/// Why a token is not taken for a kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// Not of the form of a Hub token; the Hub was not asked.
    #[error("not of the form of a Hub token")]
    Malformed,
    /// The Hub does not know the token.
    #[error("the Hub does not know this token")]
    Unknown,
    /// The Hub knows the token; it is not the token of a single-user server.
    #[error("not the token of a single-user server")]
    NotAServerToken,
    /// It would be, but lacks the scope that the Hub's configuration must give it.
    #[error("the server token lacks the kernel scope")]
    MissingKernelScope,
    /// Too many unknown tokens were tried from there; a second later one more may be tried.
    #[error("too many tokens were tried")]
    TooMany,
    /// The Hub did not answer, or not sensibly.
    #[error("the Hub did not answer")]
    HubUnavailable,
}

/// Recognises browsers: the broker is an OAuth client of the Hub.
#[async_trait]
pub trait BrowserAuthenticator: fmt::Debug + Send + Sync {
    /// The Hub's authorize URL for a browser.
    fn authorize_url(&self, state: &State, verifier: &PkceVerifier) -> SecretUrl;

    /// Waits until few enough questions are under way for such visitors.
    async fn acquire(&self, visitor: Visitor) -> Result<HubPermit, BrowserError>;

    /// Redeems the Hub's code and asks who the browser is; the token is for asking again.
    async fn redeem(
        &self,
        permit: HubPermit,
        code: AuthorizationCode,
        verifier: PkceVerifier,
    ) -> Result<(HubUser, HubAccessToken), BrowserError>;

    /// Asks again who the browser is: its person may have logged out of the Hub meanwhile. Who comes before the question
    /// is sent shares its answer; whoever asks again and again waits.
    async fn recheck(&self, token: &HubAccessToken) -> Result<HubUser, BrowserError>;

    /// Whether people other than the owner may enter this server. `None` where the Hub does not say. What
    /// it said is remembered for five seconds.
    async fn is_shared(
        &self,
        user: &HubUser,
        server: &ServerName,
    ) -> Result<Option<bool>, BrowserError>;
}

/// For whom the Hub is to be asked who a browser is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visitor {
    /// A browser with the cookie of a live sign-in's flow: who has that, had a link.
    SignIn,
    /// Anybody.
    Unknown,
}

/// Why a browser is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrowserError {
    /// The Hub refused the code or the token, or the token is not a browser's.
    #[error("the Hub does not vouch for this browser")]
    Refused,
    /// The Hub did not answer, or not sensibly.
    #[error("the Hub did not answer")]
    HubUnavailable,
}

#[cfg(test)]
mod tests {
    use hubkey_domain::clock::Timestamp;

    use super::*;

    #[test]
    fn found_e1_what_the_hub_does_not_say_is_told_once() {
        let alice = HubUser::parse("alice").unwrap();
        let creation_time_warning = CreationTimeWarning::at("a setting");
        let made = Timestamp::from_rfc3339("2026-11-24T20:00:07Z");
        creation_time_warning.check(&alice.clone().made_at(made));
        assert!(!creation_time_warning.logged.is_completed());
        for _ in 0..2 {
            creation_time_warning.check(&alice);
            assert!(creation_time_warning.logged.is_completed());
        }
    }
}
