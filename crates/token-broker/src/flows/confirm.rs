//! A person decided on the confirmation page: the third of the three points that bind person, browser and server.

use hubkey_protocol::internal::{BrowserReply, Decide, Decision};

use super::{
    Flows,
    browser::{Browser, Presence},
    ending::Ending,
    identity::Pinned,
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::Candidate,
        flow::FlowStage,
        sign_in::{SignIn, SignInState},
    },
    store::{StoreError, typed::Loaded},
};

impl Flows {
    /// Pins the account and makes the connection, or ends the sign-in and gives the tokens back.
    pub async fn confirm(&self, request: Decide) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .browser(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, FlowStage::Confirming { hub_token, csrf })) = opened else {
            return Ok(self.forbidden(source, "flow_cookie"));
        };
        if !csrf.matches(&request.csrf) {
            return Ok(self.forbidden(source, "csrf"));
        }
        let Some(loaded) = self.open_sign_in(&browser.nonce).await? else {
            return Ok(self.dead_link(source));
        };
        if request.decision == Decision::Cancel {
            return self
                .end_with_page(browser, loaded, Ending::cancelled("confirm_page"))
                .await;
        }
        match self.presence(&hub_token, &loaded.value.kernel.user).await {
            Presence::Same => self.confirmed(browser, loaded).await,
            Presence::Gone(word) => {
                self.deny_and_refuse(browser, loaded, What::HubMismatch, word)
                    .await
            }
            // Nothing has changed: the person may press the button again.
            Presence::Unknown => Ok(self.hub_unavailable(source)),
        }
    }

    async fn confirmed(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
    ) -> Result<BrowserReply, StoreError> {
        let Some((loaded, candidate)) = take_candidate(loaded, &browser) else {
            return Ok(self.forbidden(browser.source, "sign_in_state"));
        };
        let pinned = self.pin(&loaded.value, &candidate.grant).await?;
        if pinned != Pinned::Done {
            let ending = self.not_pinned(&loaded.value, &candidate, pinned);
            return self
                .refuse_candidate(browser, loaded, candidate, ending)
                .await;
        }
        Event::about(&loaded.value)
            .source(browser.source)
            .tell(What::ConsentAccepted);
        Event::about(&loaded.value)
            .source(browser.source)
            .tell(What::IdentityPinned);
        // Where the store failed the grant still waits in the sign-in, and the person may press the button again.
        self.settle(browser, loaded, candidate)
            .await
            .map_err(|undone| undone.error)
    }
}

/// Takes the candidate out of a sign-in that waits for this browser's confirmation.
fn take_candidate(
    loaded: Loaded<SignIn>,
    browser: &Browser<'_>,
) -> Option<(Loaded<SignIn>, Candidate)> {
    let Loaded { value, generation } = loaded;
    match value.state {
        SignInState::Confirming { flow, candidate } if flow.matches(&browser.fingerprint) => {
            let value = SignIn {
                state: SignInState::Exchanging { flow },
                ..value
            };
            Some((Loaded { value, generation }, *candidate))
        }
        _ => None,
    }
}
