//! A scripted Hub, a clock that stands still, and what asks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hubkey_domain::clock::{Clock, TestClock, Timestamp};
use hubkey_domain::identity::{HubUser, ServerIdentity};
use hubkey_fakes::scripted_hub::{HubClient, HubEndpoint, ScriptedHub};
use hubkey_protocol::secret::{
    AuthorizationCode, ClientSecret, HubAccessToken, PkceVerifier, ServerToken,
};
use hubkey_store::keys::LookupMacKey;
use hubkey_token_broker::hub::{
    BrowserAuthenticator, BrowserError, Freshness, KernelAuthenticator, KernelError, Visitor,
    browser::HubBrowserAuthenticator, config::HubConfig, http::HubApi,
    kernel::HubKernelAuthenticator,
};

pub(crate) const REDIRECT_URI: &str = "https://hubkey.example.org/oauth_callback";
pub(crate) const SERVICE_TOKEN: &str = "the-api-token-of-the-service";
pub(crate) const PEER: [u8; 4] = [10, 0, 0, 1];

pub(crate) struct Stage {
    pub(crate) hub: ScriptedHub,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) kernels: HubKernelAuthenticator,
    pub(crate) browsers: HubBrowserAuthenticator,
}

pub(crate) fn config(api_url: &str) -> HubConfig {
    HubConfig {
        api_url: api_url.parse().unwrap(),
        public_url: "https://hub.example.org/hub/".parse().unwrap(),
        api_token: ClientSecret::new(SERVICE_TOKEN),
        service_name: "hubkey".into(),
        client_id: "service-hubkey".into(),
        redirect_uri: REDIRECT_URI.into(),
        server_scope: "custom:hubkey:kernel".into(),
        allow_plaintext: false,
        ca_pem: None,
    }
}

pub(crate) fn index() -> LookupMacKey {
    LookupMacKey::new(&[7; 32])
}

pub(crate) fn kernels(config: &HubConfig, clock: &Arc<TestClock>) -> HubKernelAuthenticator {
    let api = Arc::new(HubApi::new(config).unwrap());
    let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(clock);
    HubKernelAuthenticator::new(api, config, index(), clock)
}

pub(crate) fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    pub(crate) async fn set_with(edit: impl FnOnce(&mut HubConfig)) -> Self {
        let hub = ScriptedHub::start().await.unwrap();
        hub.register(HubClient::hubkey(SERVICE_TOKEN, REDIRECT_URI));
        let mut config = config(&hub.api_url());
        edit(&mut config);
        let clock = clock();
        Self {
            kernels: kernels(&config, &clock),
            browsers: HubBrowserAuthenticator::new(
                Arc::new(HubApi::new(&config).unwrap()),
                &config,
                Arc::<TestClock>::clone(&clock),
            ),
            hub,
            clock,
        }
    }

    pub(crate) async fn cached(&self, token: &str) -> Result<ServerIdentity, KernelError> {
        self.from(token, Freshness::Cached, PEER.into()).await
    }

    pub(crate) async fn asked(&self, token: &str) -> Result<ServerIdentity, KernelError> {
        self.from(token, Freshness::Fresh, PEER.into()).await
    }

    pub(crate) async fn from(
        &self,
        token: &str,
        freshness: Freshness,
        peer: IpAddr,
    ) -> Result<ServerIdentity, KernelError> {
        let token = ServerToken::new(token);
        self.kernels
            .authenticate(&token, freshness, Some(peer))
            .await
    }

    /// Who a browser with this code is.
    pub(crate) async fn redeem(
        &self,
        code: AuthorizationCode,
        verifier: PkceVerifier,
    ) -> Result<(HubUser, HubAccessToken), BrowserError> {
        let turn = self.browsers.acquire(Visitor::SignIn).await?;
        self.browsers.redeem(turn, code, verifier).await
    }

    /// How often the Hub was asked whose a token is.
    pub(crate) fn questions(&self) -> usize {
        self.hub.hits(HubEndpoint::User)
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The error of a call that must have one, whatever the kernel of another would be.
pub(crate) fn refusal(answer: Result<ServerIdentity, KernelError>) -> Option<KernelError> {
    answer.err()
}

/// User and server of a call that must have succeeded.
pub(crate) fn of(answer: Result<ServerIdentity, KernelError>) -> (String, String) {
    let kernel = answer.unwrap();
    (
        kernel.user.as_str().to_owned(),
        kernel.server.as_str().to_owned(),
    )
}

pub(crate) fn owned(user: &str, server: &str) -> (String, String) {
    (user.to_owned(), server.to_owned())
}
