//! A kernel asks what the provider says of the account of a connection.

use std::{future::ready, sync::Arc, time::Duration};

use hubkey_protocol::{ConnectionId, UserInfo};
use serde_json::{Map, Value};

use super::{Asker, Flows, failure::KernelFailure};
use crate::{
    domain::{connection::Connection, renewal::Trouble},
    idp::{IdentityProvider, IdpError},
};

/// When to try again.
const REST: Duration = Duration::from_secs(1);
/// So long an answer stays as it is, and a refusal too.
const REMEMBER: Duration = Duration::from_secs(5);

impl Flows {
    /// What the userinfo endpoint says of a connection of this very server token. It is asked with the access token that
    /// the kernel can draw, so the kernel learns nothing that it could not ask itself. Asked again within seconds, the
    /// answer is the same.
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
        let claims = self.claims(provider, drawn.connection).await;
        claims
            .map(|claims| UserInfo {
                claims: Map::clone(&claims),
            })
            .map_err(|error| failure(&error))
    }

    /// The question is carried out and its answer remembered though who asks hangs up: the next one finds it.
    async fn claims(
        self: &Arc<Self>,
        provider: Arc<dyn IdentityProvider>,
        connection: Arc<Connection>,
    ) -> Result<Arc<Map<String, Value>>, IdpError> {
        let flows = Arc::clone(self);
        let work = self.flights.spawn(async move {
            let about = flows
                .index_key
                .hash("userinfo", connection.id.as_str().as_bytes());
            let question = async {
                let claims = provider.userinfo(&connection.grant).await;
                let good_for = remember(claims.as_ref().err());
                (claims.map(Arc::new), good_for)
            };
            let answers = &flows.limits.userinfo;
            answers.get(about, ready(()), question).await
        });
        work.await.unwrap_or(Err(IdpError::Unavailable))
    }
}

/// What may be over in a moment is asked for again in a moment.
fn remember(error: Option<&IdpError>) -> Duration {
    match error {
        Some(IdpError::Unavailable | IdpError::OutcomeUnknown) => REST,
        Some(IdpError::Refused(_) | IdpError::Misbehaved(_) | IdpError::Misconfigured(_))
        | None => REMEMBER,
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
