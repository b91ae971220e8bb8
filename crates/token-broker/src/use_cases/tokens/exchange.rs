//! A kernel has its connection's token exchanged for one of another API, or of a provider behind this one (RFC 8693).
//! What is exchanged comes out of the store, never from the kernel.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    derived_token::{DerivedTokenEntry, DerivedTokenKey, DerivedTokenSet},
    refresh_state::{BackoffReason, RefreshState},
    token_set::TokenSet,
};
use hubkey_oidc::{Exchange, ExchangeError, IdentityProvider};
use hubkey_protocol::{ConnectionId, ExchangeRequest, Scopes, SignInCause, TokenAnswer};
use hubkey_store::{
    Key, Store,
    typed::{Found, TypedStore},
};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        common::Common,
        failure::KernelFailure,
        providers::Providers,
        records::{Records, derived_tokens::DerivedTokenRecords},
        server_authentication::{KernelCredentials, ServerAuthentication},
        sign_in::request_policy,
        tokens::{
            derived::{
                DerivedTokenRequest, DerivedTokens, Fetch, entry_of, newer, refresh_failure,
            },
            ensure_valid::ValidTokens,
            refresh::{Refresh, refresher::Refresher},
            single_flight::{DerivedTokenResult, RefreshFailure, SingleFlight},
            sources::TokenSources,
        },
    },
};

/// Exchanges a connection's token (RFC 8693).
#[derive(Debug)]
pub struct TokenExchange {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    single_flight: Arc<SingleFlight>,
    derived: Arc<DerivedTokenRecords>,
    derived_tokens: Arc<DerivedTokens>,
    refresher: Arc<Refresher>,
    servers: Arc<ServerAuthentication>,
    valid_tokens: Arc<ValidTokens>,
}

impl TokenExchange {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        refresh: &Refresh,
        sources: &TokenSources,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            single_flight: Arc::clone(&base.single_flight),
            derived: Arc::clone(&records.derived),
            derived_tokens: Arc::clone(&sources.derived_tokens),
            refresher: Arc::clone(&refresh.refresher),
            servers: Arc::clone(&common.servers),
            valid_tokens: Arc::clone(&sources.valid_tokens),
        }
    }

    /// A token that a connection's own was exchanged for, valid for at least as long as asked.
    pub async fn exchange(
        self: &Arc<Self>,
        credentials: &KernelCredentials,
        id: &ConnectionId,
        request: &ExchangeRequest,
    ) -> Result<TokenAnswer, KernelFailure> {
        let kernel = self.servers.recognise(credentials).await?;
        let (connection, targets) = self.derived.load_own_with_derived(&kernel, id).await?;
        let provider = self.providers.get(&connection.value.provider);
        let offer = &provider
            .ok_or(KernelFailure::NotFound)?
            .config()
            .token_exchange;
        let target = request_policy::exchange_key(request, offer)?;
        let origins = offer.origins_of(&target);
        let derived_request = DerivedTokenRequest {
            entry: entry_of(targets.as_ref(), &target),
            connection: connection.clone(),
            rejected: request.rejected_ath.clone(),
        };
        let this = Arc::clone(self);
        let fetch: Fetch = Box::new(move |id, target, mark| {
            async move { Box::pin(this.fetch(&id, (&target, mark))).await }.boxed()
        });
        let token = self
            .derived_tokens
            .ensure_valid(derived_request, request.min_valid_seconds, fetch)
            .await?;
        Event::for_connection(&connection.value)
            .kernel(&kernel)
            .reason("exchange")
            .emit(EventKind::TokenDelivered);
        Ok(token.answer("Bearer", origins, self.clock.now()))
    }

    /// Exchanges, unless somebody was faster.
    async fn fetch(
        self: &Arc<Self>,
        id: &ConnectionId,
        (target, mark): (&DerivedTokenKey, u64),
    ) -> DerivedTokenResult {
        let keys = (Key::connection(id), Key::targets(id));
        let (found, targets): (Found<Connection>, Found<DerivedTokenSet>) =
            self.store.load_pair(&keys.0, &keys.1).await?;
        let found = self
            .single_flight
            .held(id)
            .or(found)
            .ok_or(RefreshFailure::Gone)?;
        let entry = entry_of(targets.as_ref(), target);
        if let Some(token) = newer(&entry, mark) {
            return Ok(token);
        }
        let provider = self.providers.get(&found.value.provider).map(Arc::clone);
        let provider = provider.ok_or(RefreshFailure::SignIn(SignInCause::AccessEnded))?;
        let subject = self
            .valid_tokens
            .ensure_valid_unmeasured(found, 0)
            .await
            .map_err(refresh_failure)?;
        match self
            .exchanged(&provider, &subject.connection, &entry)
            .await?
        {
            Ok(exchanged) => Ok(self.on_success(&subject.connection, entry, exchanged).await),
            Err(error) => {
                self.derived_tokens
                    .record_failure(id, entry, trouble(error))
                    .await
            }
        }
    }

    /// A token that its provider does not take any more, though it has not ended, is replaced once.
    async fn exchanged(
        self: &Arc<Self>,
        provider: &Arc<dyn IdentityProvider>,
        subject: &Arc<Connection>,
        entry: &DerivedTokenEntry,
    ) -> Result<Result<TokenSet<Option<Scopes>>, ExchangeError>, RefreshFailure> {
        let result = provider.exchange(exchange(subject, &entry.target)).await;
        let replaceable =
            subject.grant.tokens.refresh_token.is_some() && entry.renewal == RefreshState::Idle;
        if !replaceable || !matches!(result, Err(ExchangeError::SubjectRefused)) {
            return Ok(result);
        }
        let renewed = self.refresher.refresh(subject).await?;
        Ok(provider.exchange(exchange(&renewed, &entry.target)).await)
    }

    async fn on_success(
        &self,
        connection: &Connection,
        entry: DerivedTokenEntry,
        exchanged: TokenSet<Option<Scopes>>,
    ) -> Arc<TokenSet> {
        let asked = entry.target.scopes.clone();
        let token = exchanged.requested(|| asked.unwrap_or_default());
        let entry = self.derived_tokens.with_token(entry, token.clone());
        self.derived.note(&connection.id, entry).await;
        Event::for_connection(connection).emit(EventKind::TokenExchanged);
        Arc::new(token)
    }
}

pub(crate) fn exchange<'a>(subject: &'a Connection, target: &'a DerivedTokenKey) -> Exchange<'a> {
    Exchange {
        subject_token: &subject.grant.tokens.access_token,
        issuer: &subject.grant.issuer,
        audience: target.audience.as_deref(),
        resource: target.resource.as_deref(),
        scopes: target.scopes.as_ref(),
        requested_issuer: target.requested_issuer.as_deref(),
    }
}

pub(crate) fn trouble(error: ExchangeError) -> (BackoffReason, Option<Duration>) {
    match error {
        ExchangeError::Unavailable { retry_after } => (BackoffReason::Unavailable, retry_after),
        ExchangeError::Refused | ExchangeError::SubjectRefused => (BackoffReason::Refused, None),
        ExchangeError::Misconfigured => (BackoffReason::Misconfigured, None),
    }
}
