//! A person decided on the start page.

use std::sync::Arc;

use hubkey_domain::{flow::FlowStage, sign_in::SignInState};
use hubkey_protocol::internal::{BrowserReply, Decision, SubmitDecision};
use hubkey_store::StoreError;

use crate::use_cases::{
    browser::{
        authorize::{AuthorizationContext, AuthorizationRedirect, RedirectMethod},
        error_pages::ErrorPages,
        flow::BrowserFlows,
    },
    common::Common,
    records::{Records, sign_ins::SignInRecords},
    sign_in::ending::{SignInEndings, SignInOutcome},
};

/// Takes a person's decision on the start page.
#[derive(Debug)]
pub struct ContinueToProvider {
    authorization: Arc<AuthorizationRedirect>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    flows: Arc<BrowserFlows>,
    sign_ins: Arc<SignInRecords>,
}

impl ContinueToProvider {
    pub(crate) fn new(
        records: &Records,
        common: &Common,
        authorization: &Arc<AuthorizationRedirect>,
    ) -> Self {
        Self {
            authorization: Arc::clone(authorization),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            flows: Arc::clone(&common.flows),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Goes on to the provider, or ends the sign-in.
    pub async fn decide(&self, request: SubmitDecision) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .flows
            .load(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, FlowStage::Asked { hub_token, csrf })) = opened else {
            return Ok(self.error_pages.forbidden(source, "flow_cookie"));
        };
        if !csrf.matches(&request.csrf) {
            return Ok(self.error_pages.forbidden(source, "csrf"));
        }
        let Some(loaded) = self.sign_ins.load_open(&browser.nonce).await? else {
            return Ok(self.error_pages.invalid_link(source));
        };
        if !matches!(&loaded.value.state, SignInState::Claimed { flow } if flow.matches(&browser.fingerprint))
        {
            return Ok(self.error_pages.forbidden(source, "sign_in_state"));
        }
        match request.decision {
            Decision::Accept => {
                let context = AuthorizationContext {
                    hub_token,
                    method: RedirectMethod::Page,
                    further_changes: Vec::new(),
                };
                self.authorization.redirect(browser, loaded, context).await
            }
            Decision::Cancel => {
                self.endings
                    .end_with_page(browser, loaded, SignInOutcome::cancelled("start_page"))
                    .await
            }
        }
    }
}
