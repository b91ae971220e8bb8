//! The broker: every use case, with what it needs.

use std::{sync::Arc, time::Duration};

use crate::use_cases::{
    base::{Backends, Base},
    browser::{
        authorize::AuthorizationRedirect, confirm::ConfirmAccount, consent::ContinueToProvider,
        error_pages::ErrorPages, hub_callback::HubCallbacks, my_connections::MyConnections,
        pages::ShowPage, provider_callback::ProviderCallbacks, start::StartSignIn,
    },
    catalog::Catalog,
    common::Common,
    connections::{
        backchannel_logout::BackchannelLogouts, list::ListConnections,
        server_stopped::StoppedServers, sharing::ConnectionSharing, sign_out::SignOut,
    },
    records::Records,
    sign_in::{
        account_policy::AccountPolicy, acknowledge::AcknowledgeSignIn, cancel::CancelSignIn,
        complete::CompleteSignIn, open::SignInRequests, poll::PollSignIn,
    },
    tokens::{
        downscoped::DownscopedTokens, exchange::TokenExchange, get::AccessTokens, refresh::Refresh,
        single_flight::SingleFlight, sources::TokenSources, userinfo::UserInfoRequests,
    },
};

/// The use cases of one process.
#[derive(Debug, Clone)]
pub struct Broker {
    /// What is configured.
    pub catalog: Arc<Catalog>,
    /// What kernels do with a sign-in.
    pub sign_ins: SignIns,
    /// What kernels get from a connection.
    pub tokens: TokenUses,
    /// Connections after their sign-in.
    pub connections: Connections,
    /// What browsers do.
    pub browsers: Browsers,
    single_flight: Arc<SingleFlight>,
}

/// What kernels do with a sign-in.
#[derive(Debug, Clone)]
pub struct SignIns {
    /// `POST /v1/sign-ins`.
    pub open: Arc<SignInRequests>,
    /// `GET /v1/sign-ins/{nonce}`.
    pub poll: Arc<PollSignIn>,
    /// `POST /v1/sign-ins/{nonce}/ack`.
    pub acknowledge: Arc<AcknowledgeSignIn>,
    /// `DELETE /v1/sign-ins/{nonce}`.
    pub cancel: Arc<CancelSignIn>,
}

/// What kernels get from a connection.
#[derive(Debug, Clone)]
pub struct TokenUses {
    /// `POST /v1/connections/{id}/token`.
    pub get: Arc<AccessTokens>,
    /// `POST /v1/connections/{id}/exchange`.
    pub exchange: Arc<TokenExchange>,
    /// `GET /v1/connections/{id}/userinfo`.
    pub userinfo: Arc<UserInfoRequests>,
}

/// Connections after their sign-in.
#[derive(Debug, Clone)]
pub struct Connections {
    /// `GET /v1/connections`.
    pub list: Arc<ListConnections>,
    /// `DELETE /v1/connections/{id}`.
    pub sign_out: Arc<SignOut>,
    /// `POST /v1/servers/stopped`.
    pub server_stopped: Arc<StoppedServers>,
    /// A provider's logout.
    pub backchannel_logouts: Arc<BackchannelLogouts>,
}

/// What browsers do, in the order of a sign-in.
#[derive(Debug, Clone)]
pub struct Browsers {
    /// The link is opened.
    pub start: Arc<StartSignIn>,
    /// Back from the Hub.
    pub hub_callbacks: Arc<HubCallbacks>,
    /// The decision on the start page.
    pub consent: Arc<ContinueToProvider>,
    /// Back from the provider.
    pub provider_callbacks: Arc<ProviderCallbacks>,
    /// The decision on the confirmation page.
    pub confirm: Arc<ConfirmAccount>,
    /// The page of a flow.
    pub pages: Arc<ShowPage>,
    /// "My connections".
    pub my_connections: Arc<MyConnections>,
    /// Refusals that a browser sees.
    pub error_pages: Arc<ErrorPages>,
}

impl Broker {
    /// Puts the parts together.
    #[must_use]
    pub fn new(backends: Backends) -> Self {
        let base = Base::new(backends);
        let records = Records::new(&base);
        let common = Common::new(&base, &records);
        let refresh = Refresh::new(&base, &records, &common);
        let sources = TokenSources::new(&base, &records, &refresh);
        let sharing = ConnectionSharing::new(&base, &records, &common, &sources.valid_tokens);
        let sharing = Arc::new(sharing);
        let connections = Connections::new(&base, &records, &common, &sharing);
        Self {
            catalog: Arc::new(Catalog::new(&base, &common)),
            sign_ins: SignIns::new(&base, &records, &common, (&sources, &sharing)),
            tokens: TokenUses::new(&base, &records, &common, (&refresh, &sources)),
            browsers: Browsers::new(&base, &records, &common, (&refresh, &connections.sign_out)),
            connections,
            single_flight: base.single_flight,
        }
    }

    /// Waits for refreshes and revocations that are under way, for that long.
    pub async fn finish(&self, patience: Duration) {
        self.single_flight.finish(patience).await;
    }
}

impl SignIns {
    fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        (sources, sharing): (&TokenSources, &Arc<ConnectionSharing>),
    ) -> Self {
        Self {
            open: Arc::new(SignInRequests::new(
                base,
                records,
                common,
                sharing,
                &sources.valid_tokens,
            )),
            poll: Arc::new(PollSignIn::new(base, records, common)),
            acknowledge: Arc::new(AcknowledgeSignIn::new(base, common)),
            cancel: Arc::new(CancelSignIn::new(common)),
        }
    }
}

impl TokenUses {
    fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        (refresh, sources): (&Refresh, &TokenSources),
    ) -> Self {
        let downscoped = DownscopedTokens::new(base, records, common, refresh, sources);
        let downscoped = Arc::new(downscoped);
        Self {
            get: Arc::new(AccessTokens::new(
                base,
                records,
                common,
                &downscoped,
                &sources.valid_tokens,
            )),
            exchange: Arc::new(TokenExchange::new(base, records, common, refresh, sources)),
            userinfo: Arc::new(UserInfoRequests::new(
                base,
                records,
                common,
                &sources.valid_tokens,
            )),
        }
    }
}

impl Connections {
    fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        sharing: &Arc<ConnectionSharing>,
    ) -> Self {
        let sign_out = Arc::new(SignOut::new(base, records, common));
        Self {
            list: Arc::new(ListConnections::new(base, records, common)),
            server_stopped: Arc::new(StoppedServers::new(
                base, records, common, sharing, &sign_out,
            )),
            backchannel_logouts: Arc::new(BackchannelLogouts::new(base, records, common)),
            sign_out,
        }
    }
}

impl Browsers {
    fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        (refresh, sign_out): (&Refresh, &Arc<SignOut>),
    ) -> Self {
        let complete = Arc::new(CompleteSignIn::new(base, records, common, refresh));
        let policy = AccountPolicy::new(base, records, common, &complete);
        let policy = Arc::new(policy);
        let authorization = AuthorizationRedirect::new(base, records, common);
        let authorization = Arc::new(authorization);
        let my_connections = MyConnections::new(base, records, common, sign_out);
        let my_connections = Arc::new(my_connections);
        Self {
            start: Arc::new(StartSignIn::new(base, records, common)),
            hub_callbacks: Arc::new(HubCallbacks::new(
                base,
                records,
                common,
                &authorization,
                &my_connections,
            )),
            consent: Arc::new(ContinueToProvider::new(records, common, &authorization)),
            provider_callbacks: Arc::new(ProviderCallbacks::new(base, records, common, &policy)),
            confirm: Arc::new(ConfirmAccount::new(records, common, &policy, &complete)),
            pages: Arc::new(ShowPage::new(base, records, common, &my_connections)),
            my_connections,
            error_pages: Arc::clone(&common.error_pages),
        }
    }
}
