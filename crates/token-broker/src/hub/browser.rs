//! Browsers proved by the Hub's OAuth: the broker is a service of the Hub (SECURITY D2).

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hubkey_protocol::secret::{AuthorizationCode, HubToken, PkceVerifier, Secret, State};
use url::Url;

use super::{
    BrowserAuthenticator, BrowserError, Unsaid,
    config::HubConfig,
    http::{HubApi, HubFailure},
    user_model::{Session, UserModel},
};
use crate::domain::kernel::{HubUser, ServerName};

/// Covers every service: what the Hub says of tokens that may do all that their owner may.
const ACCESS: &str = "access:services";

/// Asks the Hub who a browser is.
#[derive(Debug)]
pub struct HubBrowserAuthenticator {
    api: Arc<HubApi>,
    authorize: Url,
    access: String,
    unsaid: Unsaid,
}

impl HubBrowserAuthenticator {
    /// Sends browsers to `config`'s public URL.
    #[must_use]
    pub fn new(api: Arc<HubApi>, config: &HubConfig) -> Self {
        Self {
            api,
            authorize: authorize_base(config),
            access: format!("{ACCESS}!service={}", config.service_name),
            unsaid: Unsaid::at("oauth_client_allowed_scopes of the service"),
        }
    }

    async fn user(&self, token: &HubToken) -> Result<HubUser, BrowserError> {
        let model = self.api.turn().await?.user(token).await?;
        self.browser_of(&model).ok_or(BrowserError::Refused)
    }

    /// The person, if the token is one that the Hub made for a browser to use hubkey with.
    fn browser_of(&self, model: &UserModel) -> Option<HubUser> {
        let is_browser = model.is_user()
            && model.session == Session::Browser
            && (model.has_scope(&self.access) || model.has_scope(ACCESS));
        let user = is_browser.then(|| model.owner())??;
        self.unsaid.look_at(&user);
        Some(user)
    }
}

#[async_trait]
impl BrowserAuthenticator for HubBrowserAuthenticator {
    fn authorize_url(&self, state: &State, verifier: &PkceVerifier) -> State {
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("state", state.expose())
            .append_pair("code_challenge", &challenge(verifier))
            .append_pair("code_challenge_method", "S256");
        State::new(url)
    }

    async fn redeem(
        &self,
        code: AuthorizationCode,
        verifier: PkceVerifier,
    ) -> Result<(HubUser, HubToken), BrowserError> {
        let token = self.api.turn().await?.redeem(code, verifier).await?;
        let user = self.user(&token).await?;
        Ok((user, token))
    }

    async fn ask_again(&self, token: &HubToken) -> Result<HubUser, BrowserError> {
        self.user(token).await
    }

    async fn is_shared(
        &self,
        user: &HubUser,
        server: &ServerName,
    ) -> Result<Option<bool>, BrowserError> {
        let turn = self.api.turn().await?;
        match turn.is_shared(user.as_str(), server.as_str()).await {
            Ok(shared) => Ok(Some(shared)),
            Err(HubFailure::Refused) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
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
