//! A browser leaves for the provider.

use std::sync::Arc;

use hubkey_domain::{
    flow::{AtProvider, FlowStage, RedirectTarget, StateRecord},
    random::RandomSource,
    sign_in::SignIn,
};
use hubkey_oidc::{Authorization, AuthorizationRequest, IdentityProvider, IdpError};
use hubkey_protocol::{
    internal::{BrowserAnswer, BrowserReply},
    secret::{HubAccessToken, OidcNonce, PkceVerifier, SecretUrl, State},
};
use hubkey_store::{Change, Expect, Key, Outcome, Store, StoreError, typed::Loaded};

use crate::use_cases::{
    base::Base,
    browser::{
        error_pages::{ErrorPages, reply},
        flow::Browser,
        labels::Labels,
    },
    common::Common,
    providers::Providers,
    records::{Records, sign_ins::SignInRecords},
    rules::Rules,
    sign_in::ending::{SignInEndings, SignInOutcome},
};

/// How a browser is sent on: by a redirect, or after a POST by a page that refreshes (DESIGN section 8).
#[derive(Debug, Clone, Copy)]
pub(crate) enum RedirectMethod {
    Redirect,
    Page,
}

/// What an authorization needs beside its sign-in.
pub(crate) struct AuthorizationContext {
    /// To ask the Hub again at the callback.
    pub hub_token: HubAccessToken,
    pub method: RedirectMethod,
    /// Further changes of the same commit.
    pub further_changes: Vec<Change>,
}

/// The one-time values of one authorization.
struct OneTimeValues {
    state: State,
    oidc_nonce: OidcNonce,
    verifier: PkceVerifier,
}

struct PreparedRedirect {
    authorization: Authorization,
    once: OneTimeValues,
    redirect_uri: String,
}

/// Sends a browser to the provider's authorization endpoint.
#[derive(Debug)]
pub(crate) struct AuthorizationRedirect {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    labels: Arc<Labels>,
    sign_ins: Arc<SignInRecords>,
}

impl AuthorizationRedirect {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            labels: Arc::clone(&common.labels),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// `claimed → authorizing`, and off to the provider.
    pub(crate) async fn redirect(
        &self,
        browser: Browser<'_>,
        claimed: Loaded<SignIn>,
        context: AuthorizationContext,
    ) -> Result<BrowserReply, StoreError> {
        let Some(provider) = self.providers.get(&claimed.value.provider).map(Arc::clone) else {
            return Ok(self.error_pages.invalid_link(browser.source));
        };
        let once = self.one_time_values(&browser);
        let redirect_uri = self.redirect_uri(provider.as_ref());
        let request = request(&claimed.value, &once, &redirect_uri);
        match authorized(provider.as_ref(), &request).await {
            Ok(authorization) => {
                let prepared = PreparedRedirect {
                    authorization,
                    once,
                    redirect_uri,
                };
                self.commit_redirect(browser, claimed, context, prepared)
                    .await
            }
            Err(error) => {
                let ending = SignInOutcome::provider(error).with_changes(context.further_changes);
                self.endings.end_with_page(browser, claimed, ending).await
            }
        }
    }

    async fn commit_redirect(
        &self,
        browser: Browser<'_>,
        claimed: Loaded<SignIn>,
        context: AuthorizationContext,
        prepared: PreparedRedirect,
    ) -> Result<BrowserReply, StoreError> {
        let PreparedRedirect {
            authorization,
            once,
            redirect_uri,
        } = prepared;
        let Ok(authorizing) = claimed.try_map(SignIn::authorize) else {
            return Ok(self.error_pages.forbidden(browser.source, "sign_in_state"));
        };
        let leg = RedirectTarget::Provider {
            id: authorizing.value.provider.clone(),
        };
        let record = StateRecord {
            nonce: browser.nonce.clone(),
            flow: browser.fingerprint,
            leg,
        };
        let state_key = Key::state(&browser.short, &once.state);
        let stage = FlowStage::AtProvider(Box::new(AtProvider {
            hub_token: context.hub_token,
            verifier: once.verifier,
            oidc_nonce: once.oidc_nonce,
            issuer: authorization.issuer,
            redirect_uri,
        }));
        let life = self.rules.sign_in_lifetime;
        let mut changes = context.further_changes;
        changes.push(browser.put(stage, life)?);
        changes.push(Change::put(state_key, Expect::Absent, &record, life)?);
        changes.push(self.sign_ins.put(&authorizing)?);
        match self.store.commit(changes).await? {
            Outcome::Done => Ok(reply(self.redirect_answer(
                &authorizing.value,
                authorization.url,
                context.method,
            ))),
            Outcome::Conflict => Ok(self.error_pages.invalid_link(browser.source)),
        }
    }

    fn redirect_answer(
        &self,
        sign_in: &SignIn,
        location: SecretUrl,
        method: RedirectMethod,
    ) -> BrowserAnswer {
        match method {
            RedirectMethod::Redirect => BrowserAnswer::Redirect { location },
            RedirectMethod::Page => BrowserAnswer::RedirectPage {
                location,
                provider: self.labels.label(&sign_in.provider).display_name,
            },
        }
    }

    fn one_time_values(&self, browser: &Browser<'_>) -> OneTimeValues {
        OneTimeValues {
            state: self.chance.state(&browser.short),
            oidc_nonce: self.chance.oidc_nonce(),
            verifier: self.chance.pkce_verifier(),
        }
    }

    fn redirect_uri(&self, provider: &dyn IdentityProvider) -> String {
        format!(
            "{}/callback/{}",
            self.rules.public_url,
            provider.config().id.as_str()
        )
    }
}

/// Where the browser is to go. What is known to fail after its return is said before it leaves: a token endpoint that is left
/// alone is asked whether it works again, if it is time for that.
async fn authorized(
    provider: &dyn IdentityProvider,
    request: &AuthorizationRequest<'_>,
) -> Result<Authorization, IdpError> {
    if provider.retry_after().is_some() {
        provider.ready().await?;
    }
    provider.authorize(request).await
}

fn request<'a>(
    sign_in: &'a SignIn,
    once: &'a OneTimeValues,
    redirect_uri: &'a str,
) -> AuthorizationRequest<'a> {
    AuthorizationRequest {
        login_hint: sign_in.login_hint.as_deref(),
        scopes: &sign_in.wish.scopes,
        audience: sign_in.wish.audience.as_deref(),
        resource: sign_in.wish.resource.as_deref(),
        redirect_uri,
        state: &once.state,
        oidc_nonce: &once.oidc_nonce,
        verifier: &once.verifier,
    }
}
