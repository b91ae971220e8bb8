//! A person decided on the start page.

use hubkey_protocol::internal::{BrowserReply, Decide, Decision};

use super::{
    Flows,
    ending::Ending,
    leaving::{Leaving, Via},
};
use crate::{
    domain::{flow::FlowStage, sign_in::SignInState},
    store::StoreError,
};

impl Flows {
    /// Goes on to the provider, or ends the sign-in.
    pub async fn r#continue(&self, request: Decide) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let opened = self
            .browser(&request.flow, request.flow_cookie.as_ref(), source)
            .await?;
        let Some((browser, FlowStage::Asked { hub_token, csrf })) = opened else {
            return Ok(self.forbidden(source, "flow_cookie"));
        };
        if !csrf.matches(&request.csrf) {
            return Ok(self.forbidden(source, "csrf"));
        }
        let Some(loaded) = self.open_sign_in(&browser.nonce).await? else {
            return Ok(self.dead_link(source));
        };
        if !matches!(&loaded.value.state, SignInState::Claimed { flow } if flow.matches(&browser.fingerprint))
        {
            return Ok(self.forbidden(source, "sign_in_state"));
        }
        match request.decision {
            Decision::Accept => {
                let leaving = Leaving {
                    hub_token,
                    via: Via::Page,
                    use_up: Vec::new(),
                };
                self.leave(browser, loaded, leaving).await
            }
            Decision::Cancel => {
                self.end_with_page(browser, loaded, Ending::cancelled("start_page"))
                    .await
            }
        }
    }
}
