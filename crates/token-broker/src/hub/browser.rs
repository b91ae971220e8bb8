//! Browsers proved by the Hub's OAuth: the broker is a service of the Hub.

use std::{future::ready, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_domain::{
    clock::Clock,
    identity::{HubUser, ServerName},
};
use hubkey_protocol::secret::{
    AuthorizationCode, HubAccessToken, PkceVerifier, Secret, SecretUrl, State,
};
use tracing::Instrument as _;
use url::Url;

use super::{
    BrowserAuthenticator, BrowserError, CreationTimeWarning, Visitor,
    config::HubConfig,
    http::{HubApi, HubFailure, HubPermit, Lane},
    user_model::{Session, UserModel},
};
use crate::limits::{CacheKey, CoalescingCache, Pacer};

/// Covers every service: what the Hub says of tokens that may do all that their owner may.
const ACCESS: &str = "access:services";
/// Questions about one browser: so many at once, and after that one in each interval.
const PER_BROWSER: (u32, Duration) = (10, Duration::from_millis(200));
const MAX_BROWSERS: u64 = 4_096;
/// Who shares a server while a sign-in is opened is shown on its page, or refused at its next one.
const REMEMBER_SHARED: Duration = Duration::from_secs(5);
const MAX_SERVERS: u64 = 32_768;

/// Asks the Hub who a browser is.
#[derive(Debug)]
pub struct HubBrowserAuthenticator {
    api: Arc<HubApi>,
    authorize: Url,
    access: String,
    creation_time_warning: CreationTimeWarning,
    /// Of each browser, by its token: nothing is remembered, and one question at a time is under way.
    browsers: CoalescingCache<Result<HubUser, BrowserError>>,
    pacer: Pacer<CacheKey>,
    /// Of each server.
    shared: Arc<CoalescingCache<Result<Option<bool>, BrowserError>>>,
}

impl HubBrowserAuthenticator {
    /// Sends browsers to `config`'s public URL.
    #[must_use]
    pub fn new(api: Arc<HubApi>, config: &HubConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            api,
            authorize: authorize_base(config),
            access: format!("{ACCESS}!service={}", config.service_name),
            creation_time_warning: CreationTimeWarning::at(
                "oauth_client_allowed_scopes of the service",
            ),
            browsers: CoalescingCache::new(Arc::clone(&clock), MAX_BROWSERS),
            pacer: Pacer::new(PER_BROWSER.0, PER_BROWSER.1),
            shared: Arc::new(CoalescingCache::new(clock, MAX_SERVERS)),
        }
    }

    async fn user(
        &self,
        permit: &HubPermit,
        token: &HubAccessToken,
    ) -> Result<HubUser, BrowserError> {
        let model = permit.user(token).await?;
        self.browser_of(&model).ok_or(BrowserError::Refused)
    }

    /// The person, if the token is one that the Hub made for a browser to use hubkey with.
    fn browser_of(&self, model: &UserModel) -> Option<HubUser> {
        let is_browser = model.is_user()
            && model.session == Session::Browser
            && (model.has_scope(&self.access) || model.has_scope(ACCESS));
        let user = is_browser.then(|| model.owner())??;
        self.creation_time_warning.check(&user);
        Some(user)
    }
}

#[async_trait]
impl BrowserAuthenticator for HubBrowserAuthenticator {
    fn authorize_url(&self, state: &State, verifier: &PkceVerifier) -> SecretUrl {
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("state", state.expose())
            .append_pair("code_challenge", &challenge(verifier))
            .append_pair("code_challenge_method", "S256");
        SecretUrl::new(url)
    }

    async fn acquire(&self, visitor: Visitor) -> Result<HubPermit, BrowserError> {
        let lane = match visitor {
            Visitor::SignIn => Lane::SignIn,
            Visitor::Unknown => Lane::Visit,
        };
        Ok(self.api.acquire(lane).await?)
    }

    async fn redeem(
        &self,
        permit: HubPermit,
        code: AuthorizationCode,
        verifier: PkceVerifier,
    ) -> Result<(HubUser, HubAccessToken), BrowserError> {
        let token = permit.redeem(code, verifier).await?;
        let user = self.user(&permit, &token).await?;
        Ok((user, token))
    }

    async fn recheck(&self, token: &HubAccessToken) -> Result<HubUser, BrowserError> {
        let browser = key_of(token.expose());
        let turn = self.pacer.wait(&browser);
        let question = async {
            let answer = match self.api.acquire(Lane::SignIn).await {
                Ok(permit) => self.user(&permit, token).await,
                Err(failure) => Err(failure.into()),
            };
            (answer, Duration::ZERO)
        };
        self.browsers.get(browser, turn, question).await
    }

    /// The question is carried out and its answer remembered though who asks hangs up: the next one finds it.
    async fn is_shared(
        &self,
        user: &HubUser,
        server: &ServerName,
    ) -> Result<Option<bool>, BrowserError> {
        let (api, shared) = (Arc::clone(&self.api), Arc::clone(&self.shared));
        let (user, server) = (user.clone(), server.clone());
        let work = async move {
            let about = key_of_server(&user, &server);
            let question = query_shared(&api, &user, &server);
            shared.get(about, ready(()), question).await
        };
        let work = tokio::spawn(work.in_current_span());
        work.await.unwrap_or(Err(BrowserError::HubUnavailable))
    }
}

/// What does not come of the Hub's answer is never remembered.
async fn query_shared(
    api: &Arc<HubApi>,
    user: &HubUser,
    server: &ServerName,
) -> (Result<Option<bool>, BrowserError>, Duration) {
    let answer = match api.acquire(Lane::Kernel).await {
        Ok(permit) => permit.is_shared(user.as_str(), server.as_str()).await,
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(shared) => (Ok(Some(shared)), REMEMBER_SHARED),
        Err(HubFailure::Refused) => (Ok(None), REMEMBER_SHARED),
        Err(failure) => (Err(failure.into()), Duration::ZERO),
    }
}

/// Names of any spelling stay apart: the length of the first says where it ends.
fn key_of_server(user: &HubUser, server: &ServerName) -> CacheKey {
    let (user, server) = (user.as_str(), server.as_str());
    key_of(&format!("{}:{user}{server}", user.len()))
}

/// The key of what a question is about.
fn key_of(text: &str) -> CacheKey {
    let hash = digest(&SHA256, text.as_bytes());
    let mut topic = [0; 32];
    topic.copy_from_slice(hash.as_ref());
    topic
}

impl From<HubFailure> for BrowserError {
    fn from(failure: HubFailure) -> Self {
        match failure {
            HubFailure::Refused => Self::Refused,
            HubFailure::Unreachable
            | HubFailure::TooSlow
            | HubFailure::Status(_)
            | HubFailure::TooLong
            | HubFailure::Malformed => Self::HubUnavailable,
        }
    }
}

/// The Hub's authorize endpoint with all that is the same for every browser.
fn authorize_base(config: &HubConfig) -> Url {
    let mut url = config.public_url.clone();
    let path = config.api_url.path().trim_end_matches('/');
    url.set_path(&format!("{path}/oauth2/authorize"));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", &config.redirect_uri);
    url
}

/// RFC 7636 section 4.2.
fn challenge(verifier: &PkceVerifier) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}
