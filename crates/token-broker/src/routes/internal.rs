//! What callback-server asks, one handler each. A fault of the store is answered as a refusal that has a page.

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::{
    ProviderId,
    internal::{BrowserReply, Decide, HubCallback, ProviderCallback, Site, Start, View},
};
use hubkey_service::http::{Failure, Json, Path};

use crate::{flows::Flows, store::StoreError};

type Broker = State<Arc<Flows>>;

pub(super) async fn site(State(flows): Broker) -> Json<Site> {
    Json(flows.site())
}

pub(super) async fn start(State(flows): Broker, Json(request): Json<Start>) -> Json<BrowserReply> {
    answer(&flows, flows.start(request).await)
}

pub(super) async fn hub_callback(
    State(flows): Broker,
    Json(request): Json<HubCallback>,
) -> Json<BrowserReply> {
    answer(&flows, flows.hub_callback(request).await)
}

pub(super) async fn view(State(flows): Broker, Json(request): Json<View>) -> Json<BrowserReply> {
    answer(&flows, flows.view(request).await)
}

pub(super) async fn r#continue(
    State(flows): Broker,
    Json(request): Json<Decide>,
) -> Json<BrowserReply> {
    answer(&flows, flows.r#continue(request).await)
}

pub(super) async fn callback(
    State(flows): Broker,
    Path(provider): Path<String>,
    Json(request): Json<ProviderCallback>,
) -> Result<Json<BrowserReply>, Failure> {
    let provider = ProviderId::parse(provider).map_err(|_| Failure::not_found())?;
    Ok(answer(&flows, flows.callback(&provider, request).await))
}

pub(super) async fn confirm(
    State(flows): Broker,
    Json(request): Json<Decide>,
) -> Json<BrowserReply> {
    answer(&flows, flows.confirm(request).await)
}

fn answer(flows: &Flows, reply: Result<BrowserReply, StoreError>) -> Json<BrowserReply> {
    Json(reply.unwrap_or_else(|error| {
        tracing::error!(%error, "a step of a browser failed at the store");
        flows.store_failed(&error)
    }))
}
