//! Tokens of fewer scopes, or for another audience or resource, come by the connection's one refresh token. So they go
//! through the same intent and lease as every refresh (SECURITY section 5.1), and leave the connection's own token alone.

use std::sync::Arc;

use futures_util::FutureExt;
use hubkey_domain::{
    clock::Clock,
    connection::{Connection, Narrowing},
    derived_token::{DerivedTokenEntry, DerivedTokenKey, DerivedTokenSet},
    identity::ServerIdentity,
    refresh_state::{BackoffReason, Lease, RefreshAction, RefreshState},
    token_set::TokenSet,
};
use hubkey_oidc::{IdentityProvider, RefreshError, Refreshed};
use hubkey_protocol::{ConnectionId, ErrorCode, SignInCause, TokenAnswer, TokenRequest};
use hubkey_store::{
    Expect, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};
use tokio::time::Instant;

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        common::Common,
        connections::revocation::Revocation,
        failure::KernelFailure,
        providers::Providers,
        records::{Records, connections::ConnectionRecords, derived_tokens::DerivedTokenRecords},
        rules::Rules,
        sign_in::request_policy,
        tokens::{
            derived::{DerivedTokenRequest, DerivedTokens, Fetch, entry_of, newer},
            ensure_valid::ValidTokens,
            refresh::{
                Refresh,
                attempt::{AttemptKind, Intent, ProviderUnavailable, RefreshAttempts, trouble_of},
                backoff::Backoff,
                narrowing::NarrowingProviders,
                outcome::RefreshOutcomes,
                refresher::Refresher,
                unverified::UnverifiedRefreshes,
                write::RefreshWrites,
            },
            single_flight::{DerivedTokenResult, RefreshFailure},
            sources::TokenSources,
        },
    },
};

/// What an attempt found.
struct AttemptState {
    connection: Loaded<Connection>,
    lease: Found<Lease>,
    targets: Found<DerivedTokenSet>,
    entry: DerivedTokenEntry,
}

/// Fetches tokens of fewer scopes, or for another audience or resource.
#[derive(Debug)]
pub(crate) struct DownscopedTokens {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    attempts: Arc<RefreshAttempts>,
    backoff: Arc<Backoff>,
    narrowing: Arc<NarrowingProviders>,
    connections: Arc<ConnectionRecords>,
    derived: Arc<DerivedTokenRecords>,
    derived_tokens: Arc<DerivedTokens>,
    outcomes: Arc<RefreshOutcomes>,
    writes: Arc<RefreshWrites>,
    unverified: Arc<UnverifiedRefreshes>,
    refresher: Arc<Refresher>,
    revocation: Arc<Revocation>,
    valid_tokens: Arc<ValidTokens>,
}

impl DownscopedTokens {
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
            rules: Arc::clone(&base.rules),
            attempts: Arc::clone(&refresh.attempts),
            backoff: Arc::clone(&refresh.backoff),
            narrowing: Arc::clone(&refresh.narrowing),
            connections: Arc::clone(&records.connections),
            derived: Arc::clone(&records.derived),
            derived_tokens: Arc::clone(&sources.derived_tokens),
            outcomes: Arc::clone(&refresh.outcomes),
            writes: Arc::clone(&refresh.writes),
            unverified: Arc::clone(&refresh.unverified),
            refresher: Arc::clone(&refresh.refresher),
            revocation: Arc::clone(&common.revocation),
            valid_tokens: Arc::clone(&sources.valid_tokens),
        }
    }

    /// A token for a part of what the connection may.
    pub(crate) async fn get(
        self: &Arc<Self>,
        kernel: &ServerIdentity,
        id: &ConnectionId,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, KernelFailure> {
        let (connection, targets) = self.derived.load_own_with_derived(kernel, id).await?;
        let provider = self.providers.get(&connection.value.provider);
        let offer = &provider
            .ok_or(KernelFailure::NotFound)?
            .config()
            .scope_policy;
        let Some(target) = request_policy::downscoped_key(request, offer, &connection.value)?
        else {
            let valid_token = self.valid_tokens.requested(connection, request).await?;
            Event::for_connection(&valid_token.connection)
                .kernel(kernel)
                .emit(EventKind::TokenDelivered);
            return Ok(valid_token.connection.token(self.clock.now()));
        };
        if target.scopes.is_some() && self.would_narrow(&connection.value) {
            return Err(narrows());
        }
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
            .kernel(kernel)
            .reason("downscoped")
            .emit(EventKind::TokenDelivered);
        Ok(token.answer("Bearer", Vec::new(), self.clock.now()))
    }

    /// Whether the connection would lose scopes by being asked for fewer.
    fn would_narrow(&self, connection: &Connection) -> bool {
        if connection.grant.narrowing == Narrowing::Lost {
            self.narrowing.note(&connection.provider);
        }
        self.narrowing.includes(&connection.provider)
    }

    /// Looks until there is a newer token for the target, somebody has to sign in, or it takes too long.
    async fn fetch(
        self: &Arc<Self>,
        id: &ConnectionId,
        (target, mark): (&DerivedTokenKey, u64),
    ) -> DerivedTokenResult {
        let end = Instant::now() + self.rules.renewal.wait;
        loop {
            let woken = self.store.watch(&Key::connection(id)).await?;
            let state = self.state(id, target).await?;
            if let Some(token) = newer(&state.entry, mark) {
                return Ok(token);
            }
            let renewal = &state.connection.value.renewal;
            let resting = [renewal, &state.entry.renewal];
            if let Some(failure) = resting
                .into_iter()
                .find_map(|one| self.backoff.not_before(one))
            {
                return Err(failure);
            }
            match renewal.next(state.lease.is_some()) {
                RefreshAction::Nothing => {
                    return Err(RefreshFailure::SignIn(SignInCause::AccessEnded));
                }
                RefreshAction::Refresh => {
                    if let Some(result) = Box::pin(self.attempt(state)).await {
                        return result;
                    }
                }
                RefreshAction::Wait => self.refresher.pause(end, woken).await?,
                // What became of the refresh token is found out by a refresh of the connection's own token.
                RefreshAction::Recover
                | RefreshAction::GiveUp
                | RefreshAction::TryAgain
                | RefreshAction::Verify => {
                    self.refresher.refresh(&state.connection.value).await?;
                }
            }
            if Instant::now() >= end {
                return Err(RefreshFailure::InProgress);
            }
        }
    }

    async fn state(
        &self,
        id: &ConnectionId,
        target: &DerivedTokenKey,
    ) -> Result<AttemptState, RefreshFailure> {
        let (connection, lease) = self.connections.load_with_lease(id).await?;
        let connection = connection.ok_or(RefreshFailure::Gone)?;
        // Read after the connection, so that it is as new at least.
        let targets: Found<DerivedTokenSet> = self.store.load(&Key::targets(id)).await?;
        Ok(AttemptState {
            entry: entry_of(targets.as_ref(), target),
            connection,
            lease,
            targets,
        })
    }

    /// Refreshes, once; absent where somebody else was faster.
    async fn attempt(self: &Arc<Self>, state: AttemptState) -> Option<DerivedTokenResult> {
        let found = state.connection;
        let Some(provider) = self.providers.get(&found.value.provider).map(Arc::clone) else {
            return Some(Err(RefreshFailure::SignIn(SignInCause::AccessEnded)));
        };
        if found.value.grant.tokens.refresh_token.is_none() {
            let refused = (BackoffReason::Refused, None);
            return Some(
                self.derived_tokens
                    .record_failure(&found.value.id, state.entry, refused)
                    .await,
            );
        }
        if let Err(error) = provider.ready().await {
            let unavailable = ProviderUnavailable {
                trouble: trouble_of(error),
                asked: provider.retry_after(),
            };
            let result = self
                .attempts
                .on_unavailable(found, AttemptKind::First, unavailable)
                .await?;
            return Some(result.and(Err(RefreshFailure::InProgress)));
        }
        let lease = state.lease.as_ref().map_or(Expect::Absent, Loaded::expect);
        let intent = match self.attempts.intend(found, lease, AttemptKind::First).await {
            Ok(intent) => intent?,
            Err(error) => return Some(Err(error.into())),
        };
        let target = Some(&state.entry.target);
        Some(
            match self.attempts.send(provider.as_ref(), &intent, target).await {
                Ok(refreshed) => {
                    let kept = (state.targets, state.entry);
                    self.on_success(&provider, intent, kept, refreshed).await
                }
                Err(error) => self.on_failure(&provider, intent, state.entry, error).await,
            },
        )
    }

    /// There is a token for the target, and perhaps a new refresh token: both are stored in one commit.
    async fn on_success(
        self: &Arc<Self>,
        provider: &Arc<dyn IdentityProvider>,
        intent: Intent,
        (targets, entry): (Found<DerivedTokenSet>, DerivedTokenEntry),
        refreshed: Refreshed,
    ) -> DerivedTokenResult {
        let mut connection = intent.connection;
        let replaced = intent.replaced;
        let token = apply_refreshed(&mut connection.value, &entry.target, refreshed);
        let entry = self.derived_tokens.with_token(entry, token.clone());
        let id = connection.value.id.clone();
        let both = self.connections.put(&connection).and_then(|put| {
            let derived = self.derived.put(&id, targets, entry.clone())?;
            Ok(vec![put, derived])
        });
        let stored = match self.connections.commit(both).await {
            // Perhaps only another target changed. The refresh token must not get lost for that.
            Ok(Outcome::Conflict) => {
                let stored = self.writes.write_result(&connection, replaced).await;
                if matches!(stored, Ok(Outcome::Done)) {
                    self.derived.note(&id, entry).await;
                }
                stored
            }
            stored => stored,
        };
        match stored {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Conflict) => {
                self.revocation
                    .revoke_later(Arc::clone(provider), token.access_token);
                let result = self.writes.on_conflict(connection.value).await;
                return result.and(Err(RefreshFailure::InProgress));
            }
            Err(error) => self.writes.hold_in_memory(&connection, replaced, &error),
        }
        Event::for_connection(&connection.value)
            .reason("downscoped")
            .emit(EventKind::TokenRefreshed);
        Ok(Arc::new(token))
    }

    /// There is none. What is wrong with the target alone leaves the connection as it was.
    async fn on_failure(
        self: &Arc<Self>,
        provider: &Arc<dyn IdentityProvider>,
        intent: Intent,
        entry: DerivedTokenEntry,
        error: RefreshError,
    ) -> DerivedTokenResult {
        let id = intent.connection.value.id.clone();
        let trouble = match error {
            RefreshError::Rejected { refusal, .. } if refusal.is_of_what_was_asked() => {
                BackoffReason::Refused
            }
            RefreshError::Misconfigured | RefreshError::Registration(_) => {
                BackoffReason::Misconfigured
            }
            // The grant may be gone, or only that target be out of reach: the connection's own token tells.
            RefreshError::Revoked | RefreshError::Rejected { .. } => {
                let connection = intent.connection.value.clone();
                self.withdraw(intent).await?;
                self.refresher.refresh(&connection).await?;
                return self
                    .derived_tokens
                    .record_failure(&id, entry, (BackoffReason::Refused, None))
                    .await;
            }
            // What came is not the connection's own token, and nobody gets it; the refresh token beside it is kept.
            RefreshError::Unverified {
                refresh_token,
                mut unverified,
            } => {
                unverified.own = false;
                let kept = (refresh_token, *unverified);
                let result = self.unverified.keep_unverified(intent, kept).await;
                return result.and(Err(RefreshFailure::InProgress));
            }
            error @ (RefreshError::NotSent
            | RefreshError::CircuitOpen
            | RefreshError::Later { .. }
            | RefreshError::Lost
            | RefreshError::Unusable { .. }
            | RefreshError::Foreign { .. }) => {
                let result = self
                    .outcomes
                    .on_failure(provider.as_ref(), intent, error)
                    .await;
                return result.and(Err(RefreshFailure::InProgress));
            }
        };
        self.withdraw(intent).await?;
        self.derived_tokens
            .record_failure(&id, entry, (trouble, None))
            .await
    }

    /// The refresh token was not used: as before.
    async fn withdraw(&self, intent: Intent) -> Result<(), StoreError> {
        let mut connection = intent.connection;
        connection.value.renewal = intent.before;
        let put = self.connections.put(&connection).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.connections.commit(put).await?;
        Ok(())
    }
}

/// Why no token of fewer scopes is fetched where that would cost the connection the others.
fn narrows() -> KernelFailure {
    KernelFailure::Policy {
        code: ErrorCode::InvalidTarget,
        detail: "This provider narrows the whole connection to the scopes of such a token. Use the connection's own token, or \
                 exchange it where the operator offers that."
            .to_owned(),
    }
}

/// Takes what a refresh for a derived token brought: the token, and the next refresh token into the connection.
fn apply_refreshed(
    connection: &mut Connection,
    key: &DerivedTokenKey,
    refreshed: Refreshed,
) -> TokenSet {
    let grant = &mut connection.grant;
    let asked = || {
        let scopes = key.scopes.as_ref();
        scopes.unwrap_or(&grant.tokens.scopes).clone()
    };
    let mut token = refreshed.tokens.requested(asked);
    if let Some(next) = token.refresh_token.take() {
        grant.tokens.refresh_token = Some(next);
    }
    grant.proof.issued_at = refreshed.issued_at.unwrap_or(grant.proof.issued_at);
    if key.scopes.is_some() {
        grant.narrowing = grant.narrowing.downscoped();
    }
    connection.renewal = RefreshState::Idle;
    token
}
