//! A kernel asks what the provider says of the account of a connection.

use std::{future::ready, sync::Arc, time::Duration};

use hubkey_domain::{
    connection::Connection, identity::ServerIdentity, refresh_state::BackoffReason,
};
use hubkey_oidc::{IdentityProvider, IdpError, UserinfoError};
use hubkey_protocol::{AccessTokenHash, ConnectionId, TokenRequest, UserInfo};
use hubkey_store::keys::LookupMacKey;
use serde_json::{Map, Value};

use crate::{
    audit::{Event, EventKind},
    limits::CoalescingCache,
    use_cases::{
        base::Base,
        common::Common,
        failure::KernelFailure,
        providers::Providers,
        records::{Records, connections::ConnectionRecords},
        server_authentication::{KernelCredentials, ServerAuthentication},
        tokens::{ensure_valid::ValidTokens, single_flight::SingleFlight},
    },
};

/// Of so many connections is remembered what userinfo said; an answer has up to 64 KiB.
const MAX_USERINFO: u64 = 256;
/// When to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// So long an answer stays as it is, and a refusal too.
const REMEMBER: Duration = Duration::from_secs(5);

/// Asks the userinfo endpoint for a kernel.
#[derive(Debug)]
pub struct UserInfoRequests {
    providers: Arc<Providers>,
    lookup_mac_key: LookupMacKey,
    single_flight: Arc<SingleFlight>,
    userinfo: CoalescingCache<Result<Arc<Map<String, Value>>, IdpError>>,
    connections: Arc<ConnectionRecords>,
    servers: Arc<ServerAuthentication>,
    valid_tokens: Arc<ValidTokens>,
}

impl UserInfoRequests {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        valid_tokens: &Arc<ValidTokens>,
    ) -> Self {
        Self {
            providers: Arc::clone(&base.providers),
            lookup_mac_key: base.lookup_mac_key.clone(),
            single_flight: Arc::clone(&base.single_flight),
            userinfo: CoalescingCache::new(Arc::clone(&base.clock), MAX_USERINFO),
            connections: Arc::clone(&records.connections),
            servers: Arc::clone(&common.servers),
            valid_tokens: Arc::clone(valid_tokens),
        }
    }

    /// What the userinfo endpoint says of a connection of this very server token. It is asked with the access token that
    /// the kernel can get, so the kernel learns nothing that it could not ask itself. Asked again within seconds, the
    /// answer is the same.
    pub async fn userinfo(
        self: &Arc<Self>,
        credentials: &KernelCredentials,
        id: &ConnectionId,
    ) -> Result<UserInfo, KernelFailure> {
        let kernel = self.servers.recognise(credentials).await?;
        let connection = self.connections.load_own(&kernel, id).await?;
        let provider = self.providers.get(&connection.value.provider).cloned();
        let provider = provider.ok_or(KernelFailure::NotFound)?;
        let valid_token = self.valid_tokens.ensure_valid(connection, 0).await?;
        let mut connection = valid_token.connection;
        let mut claims = self
            .claims(Arc::clone(&provider), Arc::clone(&connection))
            .await;
        if let Err(IdpError::Userinfo(UserinfoError::TokenRefused)) = claims
            && connection.grant.tokens.refresh_token.is_some()
        {
            connection = self.with_another_token(&kernel, &connection).await?;
            claims = self.claims(provider, Arc::clone(&connection)).await;
        }
        claims
            .map(|claims| UserInfo {
                claims: Map::clone(&claims),
            })
            .map_err(|error| failure(error, &connection))
    }

    /// The connection after its provider rejected its token, which is replaced once, by whoever comes first.
    async fn with_another_token(
        self: &Arc<Self>,
        kernel: &ServerIdentity,
        rejected: &Connection,
    ) -> Result<Arc<Connection>, KernelFailure> {
        let token = &rejected.grant.tokens.access_token;
        let wanted = TokenRequest::in_place_of(AccessTokenHash::of(token));
        let newest = self.connections.load_own(kernel, &rejected.id).await?;
        let another = self.valid_tokens.requested(newest, &wanted).await;
        another.map(|valid_token| valid_token.connection)
    }

    /// The question is carried out and its answer remembered though who asks hangs up: the next one finds it.
    async fn claims(
        self: &Arc<Self>,
        provider: Arc<dyn IdentityProvider>,
        connection: Arc<Connection>,
    ) -> Result<Arc<Map<String, Value>>, IdpError> {
        let this = Arc::clone(self);
        let work = self.single_flight.spawn(async move {
            // Of this very token: what was said of the one before it is no answer.
            let about = format!("{} {}", connection.id.as_str(), connection.grant.serial);
            let about = this.lookup_mac_key.hash("userinfo", about.as_bytes());
            let question = async {
                let claims = provider.userinfo(&connection.grant).await;
                let good_for = remember(claims.as_ref().err());
                (claims.map(Arc::new), good_for)
            };
            let answers = &this.userinfo;
            answers.get(about, ready(()), question).await
        });
        work.await.unwrap_or(Err(IdpError::Unavailable))
    }
}

/// What may be over in a moment is asked for again in a moment.
pub(crate) fn remember(error: Option<&IdpError>) -> Duration {
    match error {
        Some(IdpError::Unavailable | IdpError::OutcomeUnknown) => RETRY_AFTER,
        Some(
            IdpError::Refused(_)
            | IdpError::RuleBroken(_)
            | IdpError::Misconfigured(_)
            | IdpError::Userinfo(_),
        )
        | None => REMEMBER,
    }
}

/// For the kernel; the operator finds in the log and the audit stream what was wrong.
fn failure(error: IdpError, connection: &Connection) -> KernelFailure {
    match error {
        IdpError::Unavailable | IdpError::OutcomeUnknown => {
            return KernelFailure::Provider(BackoffReason::Unavailable, RETRY_AFTER);
        }
        IdpError::Refused(_)
        | IdpError::RuleBroken(_)
        | IdpError::Misconfigured(_)
        | IdpError::Userinfo(_) => {}
    }
    let provider = connection.provider.as_str();
    tracing::warn!(provider, %error, "a provider's userinfo could not be used");
    let IdpError::Userinfo(reason) = error else {
        return KernelFailure::Provider(BackoffReason::Misconfigured, RETRY_AFTER);
    };
    if reason == UserinfoError::SubjectMismatch {
        Event::for_connection(connection)
            .reason(reason.word())
            .emit(EventKind::ProviderFailed);
    }
    KernelFailure::Userinfo(reason)
}
