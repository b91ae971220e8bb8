//! A browser came back from a provider: the second of the three points that bind person, browser and server.

use std::sync::Arc;

use hubkey_domain::{
    access_request::AccessRequest,
    flow::{AtProvider, FlowStage, RedirectTarget},
    sign_in::SignIn,
};
use hubkey_oidc::{Granted, IdentityProvider, OAuthError, Redemption};
use hubkey_protocol::{
    Nonce, ProviderId,
    internal::{BrowserReply, ProviderCallback, TooLong},
    secret::{AuthorizationCode, HubAccessToken},
};
use hubkey_store::{Outcome, Store, StoreError, typed::Loaded};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        browser::{
            early_exit::EarlyExit,
            error_pages::ErrorPages,
            flow::{Browser, BrowserFlows, CallbackMatch},
            hub_login::{HubLogin, UserCheck},
        },
        common::Common,
        providers::Providers,
        records::{Records, sign_ins::SignInRecords},
        sign_in::{
            account_policy::AccountPolicy,
            ending::{KernelOutcome, SignInEndings, SignInOutcome},
        },
    },
};

/// What a redirect carried, beside the state.
struct AuthorizationResponse {
    code: Option<AuthorizationCode>,
    iss: Option<String>,
    error: Option<String>,
    too_long: Option<TooLong>,
}

impl AuthorizationResponse {
    fn take_from(request: &mut ProviderCallback) -> Self {
        Self {
            code: request.code.take(),
            iss: request.iss.take(),
            error: request.error.take(),
            too_long: request.too_long.take(),
        }
    }

    /// The code; an error beside it counts (RFC 6749 section 4.1.2.1).
    fn code(self) -> Result<AuthorizationCode, SignInOutcome> {
        match (self.error, self.code) {
            (Some(error), _) => Err(SignInOutcome::refused(OAuthError::parse(&error))),
            (None, Some(code)) => Ok(code),
            (None, None) => Err(SignInOutcome::empty_response()),
        }
    }
}

/// Takes a browser back from a provider.
#[derive(Debug)]
pub struct ProviderCallbacks {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    account_policy: Arc<AccountPolicy>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    flows: Arc<BrowserFlows>,
    hub_login: Arc<HubLogin>,
    sign_ins: Arc<SignInRecords>,
}

impl ProviderCallbacks {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        account_policy: &Arc<AccountPolicy>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            account_policy: Arc::clone(account_policy),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            flows: Arc::clone(&common.flows),
            hub_login: Arc::clone(&common.hub_login),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Checks that person, browser and sign-in are still the same, and only then redeems the code, once.
    pub async fn callback(
        &self,
        provider: &ProviderId,
        request: ProviderCallback,
    ) -> Result<BrowserReply, StoreError> {
        let done = self.steps(provider, request).await;
        done.or_else(EarlyExit::into_reply)
    }

    /// The steps between a provider's redirect and the next page, in this order. The first that stops ends the sign-in, or
    /// refuses the browser; none after it runs.
    ///
    /// 1. State and flow cookie belong together, and the state leads back from this provider (RFC 6749 section 10.12, RFC
    ///    9700 section 4.4). The state is used up.
    /// 2. The sign-in waits for it still.
    /// 3. The response is this provider's (RFC 9207), whole, and no error (RFC 6749 section 4.1.2.1).
    /// 4. The Hub says now that the browser is the sign-in's hub user.
    /// 5. The sign-in is taken over: of concurrent callbacks one comes so far.
    /// 6. The code is redeemed with this flow's verifier (RFC 7636), and the ID token validated (OpenID Connect Core 1.0
    ///    section 3.1.3.7).
    /// 7. The account fits the hub user; the grant is kept, confirmed by its person, or revoked.
    async fn steps(
        &self,
        provider: &ProviderId,
        mut request: ProviderCallback,
    ) -> Result<BrowserReply, EarlyExit> {
        let response = AuthorizationResponse::take_from(&mut request);
        let (browser, at) = self.match_browser(provider, &request).await?;
        let (sign_in, provider) = self.load_sign_in(&browser).await?;
        let (sign_in, code) = self
            .check_response(&browser, sign_in, (provider.as_ref(), &at), response)
            .await?;
        let sign_in = self.check_user(&browser, sign_in, &at).await?;
        let exchanging = self.begin_exchange(&browser, sign_in).await?;
        let (redemption, hub_token) = redemption(at, &exchanging.value.wish, code);
        let (exchanging, granted) = self
            .redeem(&browser, exchanging, (provider.as_ref(), redemption))
            .await?;
        let policy = &self.account_policy;
        let applied = policy.apply(browser, exchanging, granted, hub_token);
        Ok(Box::pin(applied).await?)
    }

    async fn match_browser<'a>(
        &self,
        provider: &ProviderId,
        request: &'a ProviderCallback,
    ) -> Result<(Browser<'a>, AtProvider), EarlyExit> {
        let (source, cookie) = (request.source.as_deref(), request.flow_cookie.as_ref());
        let leg = RedirectTarget::Provider {
            id: provider.clone(),
        };
        let arrival = self
            .flows
            .match_callback(&request.state, cookie, &leg, source);
        let nonce = match arrival.await? {
            CallbackMatch::Matches(browser, FlowStage::AtProvider(at)) => {
                return Ok((browser, *at));
            }
            CallbackMatch::Matches(browser, _) => browser.nonce,
            CallbackMatch::WrongBrowser(nonce) => nonce,
            CallbackMatch::Unknown => {
                return Err(self.error_pages.forbidden(source, "state").into());
            }
        };
        Err(self.wrong_browser(&nonce, source).await?.into())
    }

    /// The state is in the wrong browser, or came to the wrong redirect URI: nobody gets anything.
    async fn wrong_browser(
        &self,
        nonce: &Nonce,
        source: Option<&str>,
    ) -> Result<BrowserReply, StoreError> {
        if let Some(loaded) = self.sign_ins.load(nonce).await? {
            Event::for_sign_in(&loaded.value)
                .source(source)
                .reason("wrong_browser")
                .emit(EventKind::PolicyDenied);
            self.endings
                .end_sign_in(loaded, KernelOutcome::Denied, Vec::new())
                .await?;
        }
        Ok(self.error_pages.forbidden(source, "flow_cookie"))
    }

    async fn load_sign_in(
        &self,
        browser: &Browser<'_>,
    ) -> Result<(Loaded<SignIn>, Arc<dyn IdentityProvider>), EarlyExit> {
        let sign_in = self.sign_ins.load_open(&browser.nonce).await?;
        let found = sign_in.and_then(|sign_in| {
            let provider = self.providers.get(&sign_in.value.provider)?;
            Some((sign_in, Arc::clone(provider)))
        });
        found.ok_or_else(|| self.error_pages.invalid_link(browser.source).into())
    }

    /// Nothing of a response that is too long is used, whoever it is from.
    async fn check_response(
        &self,
        browser: &Browser<'_>,
        sign_in: Loaded<SignIn>,
        (provider, at): (&dyn IdentityProvider, &AtProvider),
        response: AuthorizationResponse,
    ) -> Result<(Loaded<SignIn>, AuthorizationCode), EarlyExit> {
        let issuer = response.iss.as_deref();
        let checked = match response.too_long {
            Some(what) => Err(SignInOutcome::too_long(what)),
            None => provider
                .check_response_issuer(&at.issuer, issuer)
                .await
                .map_err(SignInOutcome::provider),
        };
        match checked.and_then(|()| response.code()) {
            Ok(code) => Ok((sign_in, code)),
            Err(ending) => self.end(browser, sign_in, ending).await,
        }
    }

    async fn check_user(
        &self,
        browser: &Browser<'_>,
        sign_in: Loaded<SignIn>,
        at: &AtProvider,
    ) -> Result<Loaded<SignIn>, EarlyExit> {
        let user = &sign_in.value.kernel.user;
        match self.hub_login.check_user(&at.hub_token, user).await {
            UserCheck::Same => Ok(sign_in),
            UserCheck::Gone(word) => {
                let (browser, kind) = (browser.clone(), EventKind::HubUserMismatch);
                let refused = self.endings.deny_and_refuse(browser, sign_in, kind, word);
                Err(refused.await?.into())
            }
            UserCheck::Unknown => {
                self.end(browser, sign_in, SignInOutcome::hub_unavailable())
                    .await
            }
        }
    }

    /// `authorizing → exchanging`.
    async fn begin_exchange(
        &self,
        browser: &Browser<'_>,
        sign_in: Loaded<SignIn>,
    ) -> Result<Loaded<SignIn>, EarlyExit> {
        if let Ok(exchanging) = sign_in.try_map(|sign_in| sign_in.exchange(&browser.fingerprint)) {
            let put = self.sign_ins.put(&exchanging)?;
            if self.store.commit(vec![put]).await? == Outcome::Done {
                return Ok(exchanging.committed());
            }
        }
        let pages = &self.error_pages;
        Err(pages.forbidden(browser.source, "sign_in_state").into())
    }

    async fn redeem(
        &self,
        browser: &Browser<'_>,
        exchanging: Loaded<SignIn>,
        (provider, redemption): (&dyn IdentityProvider, Redemption),
    ) -> Result<(Loaded<SignIn>, Granted), EarlyExit> {
        match provider.redeem(redemption).await {
            Ok(granted) => Ok((exchanging, granted)),
            Err(error) => {
                self.end(browser, exchanging, SignInOutcome::provider(error))
                    .await
            }
        }
    }

    async fn end<T>(
        &self,
        browser: &Browser<'_>,
        sign_in: Loaded<SignIn>,
        ending: SignInOutcome,
    ) -> Result<T, EarlyExit> {
        let endings = &self.endings;
        let ended = endings.end_with_page(browser.clone(), sign_in, ending);
        Err(ended.await?.into())
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
