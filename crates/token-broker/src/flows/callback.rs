//! A browser came back from a provider: the second of the three points that bind person, browser and server.

use std::sync::Arc;

use hubkey_protocol::{
    Nonce, ProviderId,
    internal::{BrowserReply, ProviderCallback, TooLong},
    secret::{AuthorizationCode, HubAccessToken},
};

use super::{
    Flows,
    browser::{Arrival, Browser, Presence},
    ending::{End, Ending},
};
use crate::{
    audit::{Event, What},
    domain::{
        access_request::AccessRequest,
        flow::{AtProvider, FlowStage, Leg},
        sign_in::SignIn,
    },
    idp::{IdentityProvider, OAuthError, Redemption},
    store::{Outcome, StoreError, typed::Loaded},
};

impl Flows {
    /// Checks cookie, state, issuer and hub user, and only then redeems the code, once (SECURITY section 1.5b, step 5).
    pub async fn callback(
        &self,
        provider: &ProviderId,
        request: ProviderCallback,
    ) -> Result<BrowserReply, StoreError> {
        let source = request.source.as_deref();
        let leg = Leg::Provider {
            id: provider.clone(),
        };
        match self
            .arrival(&request.state, request.flow_cookie.as_ref(), &leg, source)
            .await?
        {
            Arrival::Fits(browser, FlowStage::AtProvider(at)) => {
                let response = Response {
                    code: request.code,
                    iss: request.iss,
                    error: request.error,
                    too_long: request.too_long,
                };
                self.back_from_provider(browser, *at, response).await
            }
            Arrival::Fits(browser, _) => self.strange(&browser.nonce, source).await,
            Arrival::Strange(nonce) => self.strange(&nonce, source).await,
            Arrival::Unknown => Ok(self.forbidden(source, "state")),
        }
    }

    /// The state is in the wrong browser, or came to the wrong redirect URI: nobody gets anything (SECURITY B2).
    async fn strange(
        &self,
        nonce: &Nonce,
        source: Option<&str>,
    ) -> Result<BrowserReply, StoreError> {
        if let Some(loaded) = self.sign_in(nonce).await? {
            Event::about(&loaded.value)
                .source(source)
                .reason("wrong_browser")
                .tell(What::PolicyDenied);
            self.end_sign_in(loaded, End::Denied, Vec::new()).await?;
        }
        Ok(self.forbidden(source, "flow_cookie"))
    }

    async fn back_from_provider(
        &self,
        browser: Browser<'_>,
        at: AtProvider,
        response: Response,
    ) -> Result<BrowserReply, StoreError> {
        let Some(loaded) = self.open_sign_in(&browser.nonce).await? else {
            return Ok(self.dead_link(browser.source));
        };
        let Some(provider) = self.provider(&loaded.value.provider).map(Arc::clone) else {
            return Ok(self.dead_link(browser.source));
        };
        // Nothing of it is used, whoever it is from.
        if let Some(what) = response.too_long {
            return self
                .end_with_page(browser, loaded, Ending::too_long(what))
                .await;
        }
        if let Err(error) = provider
            .check_response_issuer(&at.issuer, response.iss.as_deref())
            .await
        {
            return self
                .end_with_page(browser, loaded, Ending::provider(error))
                .await;
        }
        match response.code() {
            Ok(code) => {
                self.same_person(browser, loaded, at, Code { provider, code })
                    .await
            }
            Err(ending) => self.end_with_page(browser, loaded, ending).await,
        }
    }

    /// Asks the Hub again who the browser is.
    async fn same_person(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        at: AtProvider,
        code: Code,
    ) -> Result<BrowserReply, StoreError> {
        match self
            .presence(&at.hub_token, &loaded.value.kernel.user)
            .await
        {
            Presence::Same => self.redeem_code(browser, loaded, at, code).await,
            Presence::Gone(word) => {
                self.deny_and_refuse(browser, loaded, What::HubMismatch, word)
                    .await
            }
            Presence::Unknown => {
                self.end_with_page(browser, loaded, Ending::hub_unavailable())
                    .await
            }
        }
    }

    /// Takes the sign-in over, then redeems the code. Of concurrent callbacks exactly one comes so far.
    async fn redeem_code(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        at: AtProvider,
        code: Code,
    ) -> Result<BrowserReply, StoreError> {
        let Some(exchanging) = self.begin_redemption(&browser, loaded).await? else {
            return Ok(self.forbidden(browser.source, "sign_in_state"));
        };
        let (redemption, hub_token) = redemption(at, &exchanging.value.wish, code.code);
        match code.provider.redeem(redemption).await {
            Ok(granted) => Box::pin(self.judge(browser, exchanging, granted, hub_token)).await,
            Err(error) => {
                self.end_with_page(browser, exchanging, Ending::provider(error))
                    .await
            }
        }
    }

    /// `authorizing → exchanging`; absent where somebody else was faster.
    async fn begin_redemption(
        &self,
        browser: &Browser<'_>,
        loaded: Loaded<SignIn>,
    ) -> Result<Option<Loaded<SignIn>>, StoreError> {
        let Ok(exchanging) = loaded.try_map(|sign_in| sign_in.exchange(&browser.fingerprint))
        else {
            return Ok(None);
        };
        let put = self.put_sign_in(&exchanging)?;
        Ok(match self.store.commit(vec![put]).await? {
            Outcome::Done => Some(exchanging.committed()),
            Outcome::Conflict => None,
        })
    }
}

/// What the provider is to be asked, and the Hub's token of the browser, which goes on by itself.
fn redemption(
    at: AtProvider,
    wish: &AccessRequest,
    code: AuthorizationCode,
) -> (Redemption, HubAccessToken) {
    let redemption = Redemption {
        code,
        verifier: at.verifier,
        oidc_nonce: at.oidc_nonce,
        redirect_uri: at.redirect_uri,
        issuer: at.issuer,
        scopes: wish.scopes.clone(),
        resource: wish.resource.clone(),
        audience: wish.audience.clone(),
    };
    (redemption, at.hub_token)
}

/// What a redirect carried, beside the state.
struct Response {
    code: Option<AuthorizationCode>,
    iss: Option<String>,
    error: Option<String>,
    too_long: Option<TooLong>,
}

impl Response {
    /// The code; an error beside it counts (RFC 6749 section 4.1.2.1).
    fn code(self) -> Result<AuthorizationCode, Ending> {
        match (self.error, self.code) {
            (Some(error), _) => Err(Ending::refused(OAuthError::parse(&error))),
            (None, Some(code)) => Ok(code),
            (None, None) => Err(Ending::empty_response()),
        }
    }
}

struct Code {
    provider: Arc<dyn IdentityProvider>,
    code: AuthorizationCode,
}
