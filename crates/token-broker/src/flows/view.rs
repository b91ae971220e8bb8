//! A browser asks for the page that belongs to the state of its flow. Changes nothing.

use hubkey_protocol::internal::{
    BrowserAnswer, BrowserReply, ConfirmPage, DonePage, EndedPage, Page, StartPage, View,
};

use super::{Flows, browser::Browser, reply};
use crate::{
    domain::{
        connection::Candidate,
        flow::FlowStage,
        sign_in::{SignIn, SignInState},
    },
    store::StoreError,
};
use hubkey_protocol::secret::CsrfToken;

impl Flows {
    /// The page of a flow, for the browser that holds its cookie.
    pub async fn view(&self, request: View) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .browser(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, stage)) = opened else {
            return Ok(self.dead_link(source));
        };
        let page = match stage {
            FlowStage::Done { provider, account } => Some(Page::Done(DonePage {
                provider: self.label(&provider),
                account,
            })),
            FlowStage::Ended {
                provider,
                reason,
                reference,
            } => Some(Page::Ended(EndedPage {
                provider: self.label(&provider),
                reason,
                reference,
            })),
            FlowStage::Asked { csrf, .. } | FlowStage::Confirming { csrf, .. } => {
                self.question(&browser, csrf).await?
            }
            FlowStage::Visiting(visiting) => {
                return self.show_connections(browser, *visiting).await;
            }
            FlowStage::AtHub { .. } | FlowStage::AtProvider(_) => None,
        };
        Ok(page.map_or_else(
            || self.dead_link(source),
            |page| reply(BrowserAnswer::Page { page }),
        ))
    }

    async fn question(
        &self,
        browser: &Browser<'_>,
        csrf: CsrfToken,
    ) -> Result<Option<Page>, StoreError> {
        let Some(sign_in) = self
            .sign_in(&browser.nonce)
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
            _ => None,
        })
    }

    fn start_page(&self, browser: &Browser<'_>, sign_in: &SignIn, csrf: CsrfToken) -> StartPage {
        StartPage {
            flow: browser.short.clone(),
            csrf,
            provider: self.label(&sign_in.provider),
            user: sign_in.kernel.user.as_str().to_owned(),
            server: sign_in.kernel.server.as_str().to_owned(),
            scopes: self.scope_labels(sign_in),
        }
    }

    fn confirm_page(
        &self,
        browser: &Browser<'_>,
        sign_in: &SignIn,
        candidate: &Candidate,
        csrf: CsrfToken,
    ) -> ConfirmPage {
        ConfirmPage {
            flow: browser.short.clone(),
            csrf,
            provider: self.label(&sign_in.provider),
            provider_host: host(&candidate.grant.issuer),
            account: candidate.grant.account.label().to_owned(),
            user: sign_in.kernel.user.as_str().to_owned(),
            server: sign_in.kernel.server.as_str().to_owned(),
            scopes: self.scope_labels(sign_in),
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
