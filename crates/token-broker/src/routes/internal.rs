//! What callback-server asks, one handler each. A fault of the store is answered as a refusal that has a page.
//!
//! A step that began is carried out even when callback-server, or the browser behind it, has gone: a code that was sent
//! to a provider cannot be sent again.

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{
    ProviderId,
    internal::{
        BackchannelLogout, BrowserReply, EndConnections, GetPage, HubCallback, LogoutOutcome,
        LogoutReply, OpenConnectionsPage, OpenLink, ProviderCallback, SiteInfo, SubmitDecision,
    },
};
use hubkey_service::http::{Failure, Json, Path};
use hubkey_store::StoreError;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::use_cases::{
    browser::{
        confirm::ConfirmAccount, consent::ContinueToProvider, error_pages::ErrorPages,
        hub_callback::HubCallbacks, my_connections::MyConnections, pages::ShowPage,
        provider_callback::ProviderCallbacks, start::StartSignIn,
    },
    catalog::Catalog,
    connections::backchannel_logout::BackchannelLogouts,
};

type Answer = Result<Json<BrowserReply>, Failure>;

/// A step of a browser, and what shows that the store failed in it.
#[derive(Debug)]
pub(super) struct Step<T> {
    step: Arc<T>,
    error_pages: Arc<ErrorPages>,
}

impl<T> Clone for Step<T> {
    fn clone(&self) -> Self {
        Self {
            step: Arc::clone(&self.step),
            error_pages: Arc::clone(&self.error_pages),
        }
    }
}

impl<T> Step<T> {
    pub(super) fn new(step: Arc<T>, error_pages: &Arc<ErrorPages>) -> Self {
        Self {
            step,
            error_pages: Arc::clone(error_pages),
        }
    }

    async fn carry_out<W>(self, begin: impl FnOnce(Arc<T>) -> W) -> Answer
    where
        W: Future<Output = Result<BrowserReply, StoreError>> + Send + 'static,
    {
        let work = begin(self.step).in_current_span();
        let reply = tokio::spawn(work).await.map_err(Failure::internal)?;
        Ok(Json(reply.unwrap_or_else(|error| {
            tracing::error!(%error, "a step of a browser failed at the store");
            self.error_pages.store_failed(&error)
        })))
    }
}

pub(super) async fn site(State(catalog): State<Arc<Catalog>>) -> Json<SiteInfo> {
    Json(catalog.site())
}

pub(super) async fn start(
    State(step): State<Step<StartSignIn>>,
    Json(request): Json<OpenLink>,
) -> Answer {
    step.carry_out(|start| async move { start.start(request).await })
        .await
}

/// The step begins with the question to the Hub: who hangs up before has not asked it.
pub(super) async fn hub_callback(
    State(step): State<Step<HubCallbacks>>,
    Json(request): Json<HubCallback>,
) -> Answer {
    let gone = CancellationToken::new();
    let _here = gone.clone().drop_guard();
    step.carry_out(|callbacks| async move { callbacks.hub_callback(request, &gone).await })
        .await
}

pub(super) async fn view(
    State(step): State<Step<ShowPage>>,
    Json(request): Json<GetPage>,
) -> Answer {
    step.carry_out(|pages| async move { pages.view(request).await })
        .await
}

pub(super) async fn r#continue(
    State(step): State<Step<ContinueToProvider>>,
    Json(request): Json<SubmitDecision>,
) -> Answer {
    step.carry_out(|consent| async move { consent.decide(request).await })
        .await
}

pub(super) async fn callback(
    State(step): State<Step<ProviderCallbacks>>,
    Path(provider): Path<String>,
    Json(request): Json<ProviderCallback>,
) -> Answer {
    let provider = ProviderId::parse(provider).map_err(|_| Failure::not_found())?;
    step.carry_out(|callbacks| async move { callbacks.callback(&provider, request).await })
        .await
}

pub(super) async fn confirm(
    State(step): State<Step<ConfirmAccount>>,
    Json(request): Json<SubmitDecision>,
) -> Answer {
    step.carry_out(|confirm| async move { confirm.confirm(request).await })
        .await
}

pub(super) async fn my_connections(
    State(step): State<Step<MyConnections>>,
    Json(OpenConnectionsPage { .. }): Json<OpenConnectionsPage>,
) -> Json<BrowserReply> {
    Json(step.step.my_connections())
}

pub(super) async fn end_connections(
    State(step): State<Step<MyConnections>>,
    Json(request): Json<EndConnections>,
) -> Answer {
    step.carry_out(|mine| async move { mine.end_connections(request).await })
        .await
}

pub(super) async fn backchannel_logout(
    State(logouts): State<Arc<BackchannelLogouts>>,
    Path(provider): Path<String>,
    Json(request): Json<BackchannelLogout>,
) -> Result<Json<LogoutReply>, Failure> {
    let provider = ProviderId::parse(provider).map_err(|_| Failure::not_found())?;
    let work = async move { logouts.backchannel_logout(&provider, request).await };
    let work = tokio::spawn(work.in_current_span()).await;
    let outcome = work.map_err(Failure::internal)?.unwrap_or_else(|error| {
        tracing::error!(%error, "a logout failed at the store; its provider has to send it again");
        LogoutOutcome::Refused
    });
    Ok(Json(LogoutReply { outcome }))
}
