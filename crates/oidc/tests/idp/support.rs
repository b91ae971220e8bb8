//! A hostile provider with a broker's client in front of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hubkey_domain::{
    clock::{Clock, TestClock, Timestamp},
    provider::{
        ClientAuthentication, ConnectionScope, Endpoints, ExchangeOffer, IdTokenRules,
        IdentityPolicy, OutboundRules, ParMode, ProviderConfig, ScopePolicy,
    },
    random::RandomSource,
};
use hubkey_fakes::hostile_provider::{Endpoint, HostileProvider, Redirected};
use hubkey_oidc::{
    Authorization, AuthorizationRequest, Granted, IdentityProvider, IdpError, OidcProvider,
    Redemption, provider,
};
use hubkey_protocol::{
    ProviderId, Scopes,
    secret::{AuthorizationCode, OidcNonce, PkceVerifier, Secret, State},
};

pub(crate) const CALLBACK: &str = "https://hubkey.example/callback/op";

/// Real randomness.
#[derive(Debug)]
struct Random;

impl RandomSource for Random {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).unwrap();
    }
}

pub(crate) fn chance() -> Arc<dyn RandomSource> {
    Arc::new(Random)
}

/// A clock at the present, which the provider's tokens are of. It moves only where a test moves it.
pub(crate) fn clock() -> Arc<TestClock> {
    let now = jsonwebtoken::get_current_timestamp();
    Arc::new(TestClock::at(Timestamp::from_millis(now * 1000)))
}

/// The provider's registration at this issuer: public client, userinfo on, so that a test can see that it is not asked.
pub(crate) fn config(issuer: &str) -> ProviderConfig {
    ProviderConfig {
        id: ProviderId::parse("op").unwrap(),
        display_name: "The provider".into(),
        endpoints: Endpoints::Discovered {
            issuer: issuer.into(),
            userinfo: None,
            revocation: None,
        },
        client_id: "hubkey".into(),
        token_endpoint_auth_method: ClientAuthentication::None,
        par_mode: ParMode::Auto,
        scope_policy: ScopePolicy::default(),
        token_exchange: ExchangeOffer::default(),
        extra_authorization_parameters: BTreeMap::new(),
        api_origins: Vec::new(),
        allowed_email_domains: Vec::new(),
        account_policy: IdentityPolicy::Confirm,
        connection_scope: ConnectionScope::Server,
        id_token: IdTokenRules {
            algorithms: Vec::new(),
            additional_audiences: Vec::new(),
            clock_skew: Duration::from_mins(1),
            fetch_userinfo: true,
        },
        outbound: OutboundRules::default(),
    }
}

pub(crate) fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).unwrap()
}

/// One sign-in's own values.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) state: State,
    pub(crate) oidc_nonce: OidcNonce,
    pub(crate) verifier: PkceVerifier,
}

impl Transaction {
    pub(crate) fn new() -> Self {
        let chance = chance();
        Self {
            state: chance.state(&chance.short_id()),
            oidc_nonce: chance.oidc_nonce(),
            verifier: chance.pkce_verifier(),
        }
    }
}

/// A hostile provider, the client before it, and a clock that both can be told to be ahead.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) op: HostileProvider,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) client: OidcProvider,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Option<String>,
    pub(crate) resource: Option<String>,
}

impl Setup {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut ProviderConfig)) -> Self {
        let op = HostileProvider::start().await.unwrap();
        let mut config = config(&op.issuer());
        change(&mut config);
        Self::of(op, config)
    }

    pub(crate) fn of(op: HostileProvider, config: ProviderConfig) -> Self {
        let clock = clock();
        let client = provider(config, Arc::clone(&clock) as Arc<dyn Clock>, chance()).unwrap();
        Self {
            op,
            clock,
            client,
            scopes: scopes("openid read"),
            audience: None,
            resource: None,
        }
    }

    /// The authorize URL of a transaction.
    pub(crate) async fn url(&self, transaction: &Transaction) -> Result<String, IdpError> {
        let authorization = self.begin(transaction).await?;
        assert_eq!(authorization.issuer, self.op.issuer());
        Ok(authorization.url.expose().to_owned())
    }

    pub(crate) async fn begin(&self, transaction: &Transaction) -> Result<Authorization, IdpError> {
        let request = AuthorizationRequest {
            login_hint: None,
            scopes: &self.scopes,
            audience: self.audience.as_deref(),
            resource: self.resource.as_deref(),
            redirect_uri: CALLBACK,
            state: &transaction.state,
            oidc_nonce: &transaction.oidc_nonce,
            verifier: &transaction.verifier,
        };
        self.client.authorize(&request).await
    }

    /// Goes to the provider and back, up to the code.
    pub(crate) async fn authorize(
        &self,
        transaction: &Transaction,
    ) -> Result<Redirected, IdpError> {
        let url = self.url(transaction).await?;
        let back = self.op.authorize(&url).await.unwrap();
        assert_eq!(back.state.as_deref(), Some(transaction.state.expose()));
        Ok(back)
    }

    pub(crate) fn redemption(&self, code: &str, transaction: Transaction) -> Redemption {
        Redemption {
            code: AuthorizationCode::new(code),
            verifier: transaction.verifier,
            oidc_nonce: transaction.oidc_nonce,
            redirect_uri: CALLBACK.into(),
            issuer: self.op.issuer(),
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
            audience: self.audience.clone(),
        }
    }

    /// A whole sign-in, as flows does it.
    pub(crate) async fn sign_in(&self) -> Result<Granted, IdpError> {
        let transaction = Transaction::new();
        let back = self.authorize(&transaction).await?;
        self.client
            .check_response_issuer(&self.op.issuer(), back.iss.as_deref())
            .await?;
        let code = back.code.expect("an honest redirect has a code");
        self.client
            .redeem(self.redemption(&code, transaction))
            .await
    }

    /// A whole sign-in that must succeed; then forgets what was asked.
    pub(crate) async fn sign_in_honestly(&self) -> Granted {
        let granted = self.sign_in().await.expect("an honest provider is trusted");
        self.op.forget_requests();
        granted
    }

    /// Moves both sides ahead.
    pub(crate) fn later(&self, duration: Duration) {
        self.clock.advance(duration);
        let seconds = i64::try_from(duration.as_secs()).unwrap();
        self.op.id_tokens(move |token| {
            token.shift("iat", seconds);
            token.shift("exp", seconds);
        });
    }

    pub(crate) fn hits(&self, endpoint: Endpoint) -> usize {
        self.op.hits(endpoint)
    }
}

/// The word of a refusal.
pub(crate) fn word<T: std::fmt::Debug>(result: Result<T, IdpError>) -> &'static str {
    match result {
        Err(IdpError::RuleBroken(rule)) => rule.name(),
        Err(IdpError::Misconfigured(word)) => word,
        Err(IdpError::Userinfo(reason)) => reason.word(),
        other => panic!("expected a broken rule, got {other:?}"),
    }
}
