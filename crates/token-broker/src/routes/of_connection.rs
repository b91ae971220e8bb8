//! Takes the connection's id of the path. What is no id is answered like the id of a connection that does not exist.

use axum::extract::FromRequestParts;
use http::request::Parts;
use hubkey_protocol::ConnectionId;
use hubkey_service::http::{Failure, Path};

pub(super) struct OfConnection(pub ConnectionId);

impl<S: Send + Sync> FromRequestParts<S> for OfConnection {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await?;
        let id = ConnectionId::parse(id).map_err(|_| Failure::not_found())?;
        Ok(Self(id))
    }
}
