//! `GET /v1/providers`

use std::sync::Arc;

use axum::extract::State;
use hubkey_protocol::ProviderList;
use hubkey_service::http::{Failure, Json};

use crate::use_cases::{KernelCredentials, catalog::Catalog};

/// The configured providers, in the operator's order.
#[utoipa::path(
    get, path = hubkey_protocol::path::PROVIDERS, operation_id = "providers", tag = "providers",
    responses(
        (status = 200, body = ProviderList, description = "The providers"),
    ),
    security(("server_token" = []))
)]
pub(super) async fn handler(
    State(catalog): State<Arc<Catalog>>,
    credentials: KernelCredentials,
) -> Result<Json<ProviderList>, Failure> {
    Ok(Json(catalog.providers(&credentials).await?))
}
