//! The parts that steps of several kinds use.

use std::sync::Arc;

use crate::use_cases::{
    base::Base,
    browser::{error_pages::ErrorPages, flow::BrowserFlows, hub_login::HubLogin, labels::Labels},
    connect_span::ConnectSpans,
    connections::revocation::Revocation,
    records::Records,
    server_authentication::ServerAuthentication,
    sign_in::{
        account_link::AccountLinks, ending::SignInEndings, own::OwnSignIns,
        shared_servers::SharedServerPolicy,
    },
};

/// What steps of several kinds use.
pub(crate) struct Common {
    pub(crate) servers: Arc<ServerAuthentication>,
    pub(crate) shared_servers: Arc<SharedServerPolicy>,
    pub(crate) own_sign_ins: Arc<OwnSignIns>,
    pub(crate) account_links: Arc<AccountLinks>,
    pub(crate) connect_spans: Arc<ConnectSpans>,
    pub(crate) error_pages: Arc<ErrorPages>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) flows: Arc<BrowserFlows>,
    pub(crate) hub_login: Arc<HubLogin>,
    pub(crate) revocation: Arc<Revocation>,
    pub(crate) endings: Arc<SignInEndings>,
}

impl Common {
    pub(crate) fn new(base: &Base, records: &Records) -> Self {
        let error_pages = Arc::new(ErrorPages::new(base));
        let revocation = Arc::new(Revocation::new(base, records));
        Self {
            servers: Arc::new(ServerAuthentication::new(base)),
            shared_servers: Arc::new(SharedServerPolicy::new(base)),
            own_sign_ins: Arc::new(OwnSignIns::new(base, records)),
            account_links: Arc::new(AccountLinks::new(base)),
            connect_spans: Arc::new(ConnectSpans::new(base)),
            labels: Arc::new(Labels::new(base)),
            flows: Arc::new(BrowserFlows::new(base)),
            hub_login: Arc::new(HubLogin::new(base, &error_pages)),
            endings: Arc::new(SignInEndings::new(base, records, &error_pages, &revocation)),
            error_pages,
            revocation,
        }
    }
}
