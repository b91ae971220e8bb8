//! A browser asks for the page that belongs to the state of its flow. Changes nothing.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::PendingConnection,
    flow::FlowStage,
    sign_in::{SignIn, SignInState},
};
use hubkey_protocol::{
    internal::{
        BrowserAnswer, BrowserReply, ConfirmPage, DonePage, EndedPage, GetPage, Page, StartPage,
    },
    secret::CsrfToken,
};
use hubkey_store::StoreError;

use crate::use_cases::{
    base::Base,
    browser::{
        error_pages::{ErrorPages, reply},
        flow::{Browser, BrowserFlows},
        labels::Labels,
        my_connections::MyConnections,
    },
    common::Common,
    records::{Records, sign_ins::SignInRecords},
};

/// Shows the page of a flow.
#[derive(Debug)]
pub struct ShowPage {
    clock: Arc<dyn Clock>,
    error_pages: Arc<ErrorPages>,
    flows: Arc<BrowserFlows>,
    labels: Arc<Labels>,
    my_connections: Arc<MyConnections>,
    sign_ins: Arc<SignInRecords>,
}

impl ShowPage {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        my_connections: &Arc<MyConnections>,
    ) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            error_pages: Arc::clone(&common.error_pages),
            flows: Arc::clone(&common.flows),
            labels: Arc::clone(&common.labels),
            my_connections: Arc::clone(my_connections),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// The page of a flow, for the browser that holds its cookie.
    pub async fn view(&self, request: GetPage) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .flows
            .load(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, stage)) = opened else {
            return Ok(self.error_pages.invalid_link(source));
        };
        let page = match stage {
            FlowStage::Done { provider, account } => Some(Page::Done(DonePage {
                provider: self.labels.label(&provider),
                account,
            })),
            FlowStage::Ended {
                provider,
                reason,
                reference,
            } => Some(Page::Ended(EndedPage {
                provider: self.labels.label(&provider),
                reason,
                reference,
            })),
            FlowStage::Asked { csrf, .. } | FlowStage::Confirming { csrf, .. } => {
                self.form_page(&browser, csrf).await?
            }
            FlowStage::Visiting(visiting) => {
                return self
                    .my_connections
                    .show_connections(browser, *visiting)
                    .await;
            }
            FlowStage::AtHub { .. } | FlowStage::AtProvider(_) => None,
        };
        Ok(page.map_or_else(
            || self.error_pages.invalid_link(source),
            |page| reply(BrowserAnswer::Page { page }),
        ))
    }

    async fn form_page(
        &self,
        browser: &Browser<'_>,
        csrf: CsrfToken,
    ) -> Result<Option<Page>, StoreError> {
        let Some(sign_in) = self
            .sign_ins
            .load(&browser.nonce)
            .await?
            .map(|loaded| loaded.value)
        else {
            return Ok(None);
        };
        if sign_in.is_expired(self.clock.now()) {
            return Ok(None);
        }
        Ok(match &sign_in.state {
            SignInState::Claimed { flow } if flow.matches(&browser.fingerprint) => {
                Some(Page::Start(self.start_page(browser, &sign_in, csrf)))
            }
            SignInState::Confirming { flow, candidate } if flow.matches(&browser.fingerprint) => {
                Some(Page::Confirm(
                    self.confirm_page(browser, &sign_in, candidate, csrf),
                ))
            }
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => None,
        })
    }

    fn start_page(&self, browser: &Browser<'_>, sign_in: &SignIn, csrf: CsrfToken) -> StartPage {
        StartPage {
            flow: browser.short.clone(),
            csrf,
            provider: self.labels.label(&sign_in.provider),
            user: sign_in.kernel.user.as_str().to_owned(),
            server: sign_in.kernel.server.as_str().to_owned(),
            scopes: self.labels.scope_labels(sign_in),
        }
    }

    fn confirm_page(
        &self,
        browser: &Browser<'_>,
        sign_in: &SignIn,
        candidate: &PendingConnection,
        csrf: CsrfToken,
    ) -> ConfirmPage {
        ConfirmPage {
            flow: browser.short.clone(),
            csrf,
            provider: self.labels.label(&sign_in.provider),
            provider_host: host(&candidate.grant.issuer),
            account: candidate.grant.account.label().to_owned(),
            user: sign_in.kernel.user.as_str().to_owned(),
            server: sign_in.kernel.server.as_str().to_owned(),
            scopes: self.labels.scope_labels(sign_in),
            replaces_account: candidate.replaces_account,
            shared_server: sign_in.shared_server,
            asked_at: sign_in.asked_at.as_secs(),
        }
    }
}

/// The host of an issuer's URL, to recognise the provider by.
fn host(issuer: &str) -> String {
    let url = url::Url::parse(issuer).ok();
    url.as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or(issuer)
        .to_owned()
}
