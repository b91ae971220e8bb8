//! What came of an attempt to refresh.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::{Connection, Grant, Narrowing},
    refresh_state::{BackoffReason, RefreshState},
};
use hubkey_oidc::{IdentityProvider, RefreshError, Refreshed};
use hubkey_store::typed::Loaded;

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        connections::extend::Extension,
        records::Records,
        rules::Rules,
        tokens::{
            refresh::{
                attempt::{AttemptKind, Intent},
                narrowing::NarrowingProviders,
                recovery::Recoveries,
                suspended::RefusedRefreshes,
                timing::RefreshTiming,
                unverified::UnverifiedRefreshes,
                write::RefreshWrites,
            },
            single_flight::{RefreshFailure, RefreshResult},
        },
    },
};

/// Tells apart what came of an attempt to refresh, and writes it down.
#[derive(Debug)]
pub(crate) struct RefreshOutcomes {
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    extension: Arc<Extension>,
    recoveries: Arc<Recoveries>,
    narrowing: Arc<NarrowingProviders>,
    writes: Arc<RefreshWrites>,
    unverified: Arc<UnverifiedRefreshes>,
    refused: RefusedRefreshes,
}

impl RefreshOutcomes {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        timing: &RefreshTiming,
        writes: &Arc<RefreshWrites>,
        unverified: &Arc<UnverifiedRefreshes>,
    ) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            rules: Arc::clone(&base.rules),
            extension: Arc::clone(&timing.extension),
            recoveries: Arc::clone(&timing.recoveries),
            narrowing: Arc::clone(&timing.narrowing),
            refused: RefusedRefreshes::new(base, records, timing, writes),
            writes: Arc::clone(writes),
            unverified: Arc::clone(unverified),
        }
    }

    /// There is a new token. It is stored before anybody gets it; if the store fails, it is held here meanwhile.
    pub(crate) async fn on_success(
        self: &Arc<Self>,
        intent: Intent,
        refreshed: Refreshed,
    ) -> RefreshResult {
        let mut connection = intent.connection;
        let replaced = intent.replaced;
        let before = connection.value.grant.narrowing;
        connection.value.grant = renew_grant(connection.value.grant, refreshed);
        if connection.value.grant.narrowing == Narrowing::Lost && before != Narrowing::Lost {
            self.narrowing.note(&connection.value.provider);
        }
        connection.value.renewal = RefreshState::Idle;
        let now = self.clock.now();
        let extends = connection
            .value
            .needs_touch(now, self.rules.connection_lifetime);
        if extends {
            connection.value.extended_at = now;
        }
        if let Some(result) = self.writes.write_or_hold(&connection, replaced).await {
            return result;
        }
        self.recoveries
            .note(&connection.value, &intent.before)
            .await;
        Event::for_connection(&connection.value).emit(EventKind::TokenRefreshed);
        if extends {
            self.extension.note_later(connection.value.clone());
        }
        Ok(Arc::new(connection.value))
    }

    /// There is no new token.
    pub(crate) async fn on_failure(
        self: &Arc<Self>,
        provider: &dyn IdentityProvider,
        intent: Intent,
        error: RefreshError,
    ) -> RefreshResult {
        use BackoffReason::{Misconfigured, Unavailable};
        use RefreshError as E;
        let (writes, refused, unverified) = (&self.writes, &self.refused, &self.unverified);
        match error {
            E::NotSent | E::CircuitOpen => writes.back_off(intent, Unavailable, None).await,
            E::Misconfigured => writes.back_off(intent, Misconfigured, None).await,
            E::Later {
                refusal,
                retry_after,
            } => {
                refused
                    .back_off_or_suspend(intent, refusal, retry_after)
                    .await
            }
            E::Registration(refusal) => refused.refuse_registration(intent, &refusal).await,
            E::Rejected { refusal, everybody } => refused.reject(intent, refusal, everybody).await,
            E::Unusable { refresh_token } => {
                unverified.keep_refresh_token(intent, refresh_token).await
            }
            E::Unverified {
                refresh_token,
                unverified: held_back,
            } => {
                let kept = (refresh_token, *held_back);
                unverified.keep_unverified(intent, kept).await
            }
            E::Lost if intent.kind == AttemptKind::First => self.on_lost(intent).await,
            E::Lost => self.give_up(intent.connection).await,
            E::Revoked => {
                let kind = match intent.kind {
                    AttemptKind::First => EventKind::GrantEnded,
                    AttemptKind::Recovery => EventKind::ReuseDetected,
                };
                writes.end(intent.connection, kind, "invalid_grant").await
            }
            E::Foreign {
                rule,
                access_token,
                refresh_token,
            } => {
                let (connection, kind) = (intent.connection, EventKind::AccountLinkConflict);
                let result = writes.end(connection, kind, rule.name()).await;
                provider.revoke(&access_token, refresh_token.as_ref()).await;
                result
            }
        }
    }

    /// Nobody knows whether the refresh token was used.
    async fn on_lost(&self, intent: Intent) -> RefreshResult {
        Event::for_connection(&intent.connection.value)
            .reason("refresh_lost")
            .emit(EventKind::ProviderFailed);
        self.writes
            .forget_outcome(intent.connection, intent.lease)
            .await?;
        Err(RefreshFailure::InProgress)
    }

    /// Nobody knows how the second and last attempt ended.
    pub(crate) async fn give_up(&self, connection: Loaded<Connection>) -> RefreshResult {
        self.writes
            .end(connection, EventKind::GrantEnded, "lost")
            .await
    }
}

/// The grant after a refresh. Without a new refresh token the old one stays (RFC 6749 section 6).
pub(crate) fn renew_grant(old: Grant, refreshed: Refreshed) -> Grant {
    let mut proof = old.proof;
    proof.issued_at = refreshed.issued_at.unwrap_or(proof.issued_at);
    let before = old.tokens.scopes;
    let mut tokens = refreshed.tokens.requested(|| before.clone());
    tokens.refresh_token = tokens.refresh_token.or(old.tokens.refresh_token);
    let narrowing = old.narrowing.refreshed(&before, &tokens.scopes);
    Grant {
        tokens,
        narrowing,
        serial: old.serial + 1,
        proof,
        issuer: old.issuer,
        account: old.account,
        token_type: old.token_type,
    }
}
