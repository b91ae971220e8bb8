//! A kernel draws an access token from a connection.

use hubkey_protocol::{ConnectionId, TokenAnswer, TokenRequest};

use super::{Asker, Flows, failure::KernelFailure};
use crate::{
    audit::{Event, What},
    domain::connection::Connection,
    store::{
        Key,
        typed::{Loaded, TypedStore},
    },
};

impl Flows {
    /// The access token of a connection of this very server token, valid for at least as long as asked.
    pub async fn token(
        &self,
        asker: &Asker,
        id: &ConnectionId,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, KernelFailure> {
        let kernel = self.known_kernel(asker).await?;
        let found: Option<Loaded<Connection>> = self.store.load(&Key::connection(id)).await?;
        let connection = found
            .map(|loaded| loaded.value)
            .filter(|connection| connection.kernel.is_same_server(&kernel))
            .ok_or(KernelFailure::NotFound)?;
        let now = self.clock.now();
        if !connection.is_valid_for(now, 1) {
            return Err(KernelFailure::SignInRequired);
        }
        if !connection.is_valid_for(now, request.min_valid) {
            let left = connection
                .grant
                .expires_at
                .map_or(0, |end| now.until(end).as_secs());
            return Err(KernelFailure::TokenTooShort(left));
        }
        tell(&connection);
        Ok(connection.token())
    }
}

fn tell(connection: &Connection) {
    Event::new()
        .kernel(&connection.kernel)
        .provider(&connection.provider)
        .connection(&connection.id)
        .tell(What::TokenDelivered);
}
