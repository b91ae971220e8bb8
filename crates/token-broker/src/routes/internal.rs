//! What callback-server asks, one handler each. A fault of the store is answered as a refusal that has a page.
//!
//! A step that began is carried out even when callback-server, or the browser behind it, has gone: a code that was sent
//! to a provider cannot be sent again.

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{
    ProviderId,
    internal::{
        BackchannelLogout, BrowserReply, Decide, EndConnections, HubCallback, LogoutOutcome,
        LogoutReply, ProviderCallback, Site, Start, View, Visit,
    },
};
use hubkey_service::http::{Failure, Json, Path};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{flows::Flows, store::StoreError};

type Broker = State<Arc<Flows>>;
type Answer = Result<Json<BrowserReply>, Failure>;

pub(super) async fn site(State(flows): Broker) -> Json<Site> {
    Json(flows.site())
}

pub(super) async fn start(State(flows): Broker, Json(request): Json<Start>) -> Answer {
    carry_out(flows, |flows| async move { flows.start(request).await }).await
}

/// The step begins with the question to the Hub: who hangs up before has not asked it.
pub(super) async fn hub_callback(State(flows): Broker, Json(request): Json<HubCallback>) -> Answer {
    let gone = CancellationToken::new();
    let _here = gone.clone().drop_guard();
    carry_out(flows, |flows| async move {
        flows.hub_callback(request, &gone).await
    })
    .await
}

pub(super) async fn view(State(flows): Broker, Json(request): Json<View>) -> Answer {
    carry_out(flows, |flows| async move { flows.view(request).await }).await
}

pub(super) async fn r#continue(State(flows): Broker, Json(request): Json<Decide>) -> Answer {
    carry_out(
        flows,
        |flows| async move { flows.r#continue(request).await },
    )
    .await
}

pub(super) async fn callback(
    State(flows): Broker,
    Path(provider): Path<String>,
    Json(request): Json<ProviderCallback>,
) -> Answer {
    let provider = ProviderId::parse(provider).map_err(|_| Failure::not_found())?;
    carry_out(flows, |flows| async move {
        flows.callback(&provider, request).await
    })
    .await
}

pub(super) async fn confirm(State(flows): Broker, Json(request): Json<Decide>) -> Answer {
    carry_out(flows, |flows| async move { flows.confirm(request).await }).await
}

pub(super) async fn my_connections(
    State(flows): Broker,
    Json(Visit { .. }): Json<Visit>,
) -> Json<BrowserReply> {
    Json(flows.my_connections())
}

pub(super) async fn end_connections(
    State(flows): Broker,
    Json(request): Json<EndConnections>,
) -> Answer {
    carry_out(flows, |flows| async move {
        flows.end_connections(request).await
    })
    .await
}

pub(super) async fn backchannel_logout(
    State(flows): Broker,
    Path(provider): Path<String>,
    Json(request): Json<BackchannelLogout>,
) -> Result<Json<LogoutReply>, Failure> {
    let provider = ProviderId::parse(provider).map_err(|_| Failure::not_found())?;
    let work = async move { flows.backchannel_logout(&provider, request).await };
    let work = tokio::spawn(work.in_current_span()).await;
    let outcome = work.map_err(Failure::internal)?.unwrap_or_else(|error| {
        tracing::error!(%error, "a logout failed at the store; its provider has to send it again");
        LogoutOutcome::Refused
    });
    Ok(Json(LogoutReply { outcome }))
}

async fn carry_out<W>(flows: Arc<Flows>, step: impl FnOnce(Arc<Flows>) -> W) -> Answer
where
    W: Future<Output = Result<BrowserReply, StoreError>> + Send + 'static,
{
    let work = step(Arc::clone(&flows)).in_current_span();
    let reply = tokio::spawn(work).await.map_err(Failure::internal)?;
    Ok(Json(reply.unwrap_or_else(|error| {
        tracing::error!(%error, "a step of a browser failed at the store");
        flows.store_failed(&error)
    })))
}
