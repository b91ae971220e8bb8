//! Takes the two handles of a sign-in: the nonce of the path and the poll secret of the header. A request that lacks
//! either is answered like one for a sign-in that does not exist.

use axum::extract::FromRequestParts;
use http::request::Parts;
use hubkey_protocol::{Nonce, path::POLL_SECRET_HEADER, secret::PollSecret};
use hubkey_service::http::{Failure, Path};

pub(super) struct Poll {
    pub nonce: Nonce,
    pub secret: PollSecret,
}

impl<S: Send + Sync> FromRequestParts<S> for Poll {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(nonce) = Path::<String>::from_request_parts(parts, state).await?;
        let nonce = Nonce::parse(nonce).map_err(|_| Failure::not_found())?;
        let mut given = parts.headers.get_all(POLL_SECRET_HEADER).iter();
        match (given.next().map(|value| value.to_str()), given.next()) {
            (Some(Ok(secret)), None) => Ok(Self {
                nonce,
                secret: PollSecret::new(secret),
            }),
            _ => Err(Failure::not_found()),
        }
    }
}
