//! A kernel asks for an access token.

use std::sync::Arc;

use hubkey_domain::clock::Clock;
use hubkey_protocol::{ConnectionId, TokenAnswer, TokenRequest};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        common::Common,
        failure::KernelFailure,
        records::{Records, connections::ConnectionRecords},
        server_authentication::{KernelCredentials, ServerAuthentication},
        tokens::{downscoped::DownscopedTokens, ensure_valid::ValidTokens},
    },
};

/// Answers a kernel that asks for an access token.
#[derive(Debug)]
pub struct AccessTokens {
    clock: Arc<dyn Clock>,
    connections: Arc<ConnectionRecords>,
    downscoped: Arc<DownscopedTokens>,
    servers: Arc<ServerAuthentication>,
    valid_tokens: Arc<ValidTokens>,
}

impl AccessTokens {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        downscoped: &Arc<DownscopedTokens>,
        valid_tokens: &Arc<ValidTokens>,
    ) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            connections: Arc::clone(&records.connections),
            downscoped: Arc::clone(downscoped),
            servers: Arc::clone(&common.servers),
            valid_tokens: Arc::clone(valid_tokens),
        }
    }

    /// An access token of a connection of this very server token, valid for at least as long as asked; refreshed where
    /// that is needed.
    pub async fn get(
        self: &Arc<Self>,
        credentials: &KernelCredentials,
        id: &ConnectionId,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, KernelFailure> {
        let kernel = self.servers.recognise(credentials).await?;
        if request.scopes.is_some() || request.audience.is_some() || request.resource.is_some() {
            return Box::pin(self.downscoped.get(&kernel, id, request)).await;
        }
        let connection = self.connections.load_own(&kernel, id).await?;
        let valid_token = self.valid_tokens.requested(connection, request).await?;
        Event::for_connection(&valid_token.connection)
            .kernel(&kernel)
            .emit(EventKind::TokenDelivered);
        Ok(valid_token.connection.token(self.clock.now()))
    }
}
