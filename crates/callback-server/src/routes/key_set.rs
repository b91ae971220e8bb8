//! `GET /jwks/{provider}`: the public keys by which hubkey proves itself to a provider, for that provider (RFC 7517
//! section 5). No browser comes here. The broker is not asked: what it said last is shown, however often it is read.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::RETRY_AFTER};
use hubkey_protocol::ProviderId;

use super::{browser::InPath, fallbacks};
use crate::app::App;

pub(super) async fn key_set(State(app): State<App>, provider: InPath) -> Response {
    let Some(key_sets) = app.key_sets() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response();
    };
    let id = provider
        .ok()
        .and_then(|Path(id)| ProviderId::parse(id).ok());
    match id.and_then(|id| key_sets.get(&id)) {
        Some(set) => Json(set).into_response(),
        None => fallbacks::not_found(State(app)).await,
    }
}
