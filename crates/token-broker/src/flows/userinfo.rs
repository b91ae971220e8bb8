//! A kernel asks what the provider says of the account of a connection.

use std::{sync::Arc, time::Duration};

use hubkey_protocol::{ConnectionId, UserInfo};

use super::{Asker, Flows, failure::KernelFailure};
use crate::{domain::renewal::Trouble, idp::IdpError};

/// When to try again.
const REST: Duration = Duration::from_secs(1);

impl Flows {
    /// What the userinfo endpoint says of a connection of this very server token. It is asked with the access token that
    /// the kernel can draw, so the kernel learns nothing that it could not ask itself.
    pub async fn userinfo(
        self: &Arc<Self>,
        asker: &Asker,
        id: &ConnectionId,
    ) -> Result<UserInfo, KernelFailure> {
        let kernel = self.known_kernel(asker).await?;
        let connection = self.own_connection(&kernel, id).await?;
        let provider = self.provider(&connection.value.provider).cloned();
        let provider = provider.ok_or(KernelFailure::NotFound)?;
        let drawn = self.draw(connection, 0).await?;
        let claims = provider.userinfo(&drawn.connection.grant).await;
        claims
            .map(|claims| UserInfo { claims })
            .map_err(|error| failure(&error))
    }
}

fn failure(error: &IdpError) -> KernelFailure {
    let trouble = match error {
        IdpError::Unavailable | IdpError::OutcomeUnknown => Trouble::Unavailable,
        IdpError::Refused(_) | IdpError::Misbehaved(_) | IdpError::Misconfigured(_) => {
            tracing::warn!(%error, "a provider's userinfo could not be used");
            Trouble::Misconfigured
        }
    };
    KernelFailure::Provider(trouble, REST)
}
