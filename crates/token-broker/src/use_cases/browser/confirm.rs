//! A person decided on the confirmation page: the third of the three points that bind person, browser and server.

use std::sync::Arc;

use hubkey_domain::{
    connection::PendingConnection,
    flow::FlowStage,
    sign_in::{SignIn, SignInState},
};
use hubkey_protocol::internal::{BrowserReply, Decision, SubmitDecision};
use hubkey_store::{StoreError, typed::Loaded};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        browser::{
            error_pages::ErrorPages,
            flow::{Browser, BrowserFlows},
            hub_login::{HubLogin, UserCheck},
        },
        common::Common,
        records::{Records, sign_ins::SignInRecords},
        sign_in::{
            account_link::{AccountLinks, LinkOutcome},
            account_policy::AccountPolicy,
            complete::CompleteSignIn,
            ending::{SignInEndings, SignInOutcome},
        },
    },
};

/// Takes a person's decision on the confirmation page.
#[derive(Debug)]
pub struct ConfirmAccount {
    account_links: Arc<AccountLinks>,
    account_policy: Arc<AccountPolicy>,
    complete: Arc<CompleteSignIn>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    flows: Arc<BrowserFlows>,
    hub_login: Arc<HubLogin>,
    sign_ins: Arc<SignInRecords>,
}

impl ConfirmAccount {
    pub(crate) fn new(
        records: &Records,
        common: &Common,
        account_policy: &Arc<AccountPolicy>,
        complete: &Arc<CompleteSignIn>,
    ) -> Self {
        Self {
            account_links: Arc::clone(&common.account_links),
            account_policy: Arc::clone(account_policy),
            complete: Arc::clone(complete),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            flows: Arc::clone(&common.flows),
            hub_login: Arc::clone(&common.hub_login),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Links the account and makes the connection, or ends the sign-in and revokes the tokens.
    pub async fn confirm(&self, request: SubmitDecision) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .flows
            .load(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, FlowStage::Confirming { hub_token, csrf })) = opened else {
            return Ok(self.error_pages.forbidden(source, "flow_cookie"));
        };
        if !csrf.matches(&request.csrf) {
            return Ok(self.error_pages.forbidden(source, "csrf"));
        }
        let Some(loaded) = self.sign_ins.load_open(&browser.nonce).await? else {
            return Ok(self.error_pages.invalid_link(source));
        };
        if request.decision == Decision::Cancel {
            return self
                .endings
                .end_with_page(browser, loaded, SignInOutcome::cancelled("confirm_page"))
                .await;
        }
        match self
            .hub_login
            .check_user(&hub_token, &loaded.value.kernel.user)
            .await
        {
            UserCheck::Same => self.link_and_connect(browser, loaded).await,
            UserCheck::Gone(word) => {
                self.endings
                    .deny_and_refuse(browser, loaded, EventKind::HubUserMismatch, word)
                    .await
            }
            // Nothing has changed: the person may press the button again.
            UserCheck::Unknown => Ok(self.error_pages.hub_unavailable(source)),
        }
    }

    async fn link_and_connect(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
    ) -> Result<BrowserReply, StoreError> {
        let Some((loaded, candidate)) = take_candidate(loaded, &browser) else {
            return Ok(self.error_pages.forbidden(browser.source, "sign_in_state"));
        };
        let linked = self
            .account_links
            .link(&loaded.value, &candidate.grant)
            .await?;
        if linked != LinkOutcome::Done {
            let ending = self
                .account_policy
                .not_linked(&loaded.value, &candidate, linked);
            return self
                .account_policy
                .refuse_candidate(browser, loaded, candidate, ending)
                .await;
        }
        Event::for_sign_in(&loaded.value)
            .source(browser.source)
            .emit(EventKind::AccountConfirmationAccepted);
        Event::for_sign_in(&loaded.value)
            .source(browser.source)
            .emit(EventKind::AccountLinked);
        // Where the store failed the grant still waits in the sign-in, and the person may press the button again.
        self.complete
            .connect(browser, loaded, candidate)
            .await
            .map_err(|unstored| unstored.error)
    }
}

/// Takes the candidate out of a sign-in that waits for this browser's confirmation.
fn take_candidate(
    loaded: Loaded<SignIn>,
    browser: &Browser<'_>,
) -> Option<(Loaded<SignIn>, PendingConnection)> {
    let Loaded { value, generation } = loaded;
    match value.state {
        SignInState::Confirming { flow, candidate } if flow.matches(&browser.fingerprint) => {
            let value = SignIn {
                state: SignInState::Exchanging { flow },
                ..value
            };
            Some((Loaded { value, generation }, *candidate))
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
    }
}
