//! Refreshing a connection's token once, however many kernels, replicas and crashes are in play (SECURITY section 5.1).

use std::sync::Arc;

use futures_util::FutureExt;
use hubkey_domain::{
    clock::Clock,
    connection::{Connection, Unverified},
    random::RandomSource,
    refresh_state::{Lease, RefreshAction, RefreshState},
};
use hubkey_oidc::{IdentityProvider, Known, Refreshed, VerifyError};
use hubkey_protocol::{ConnectionId, SignInCause};
use hubkey_store::{
    Expect, Key, Outcome, Store,
    typed::{Found, Loaded},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        providers::Providers,
        records::{Records, connections::ConnectionRecords},
        rules::Rules,
        tokens::{
            refresh::{
                attempt::{
                    AttemptKind, Intent, ProviderUnavailable, RefreshAttempts, recoverable,
                    trouble_of,
                },
                backoff::Backoff,
                outcome::{RefreshOutcomes, renew_grant},
                recovery::Recoveries,
                steps::RefreshSteps,
                timing::RefreshTiming,
                write::RefreshWrites,
            },
            single_flight::{RefreshFailure, RefreshResult, SingleFlight},
        },
    },
};

/// Removes a flight from the list, however it ended.
struct FlightGuard {
    refresher: Arc<Refresher>,
    id: ConnectionId,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        self.refresher.single_flight.remove(&self.id);
    }
}

/// Refreshes a connection, once at a time.
#[derive(Debug)]
pub(crate) struct Refresher {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    single_flight: Arc<SingleFlight>,
    attempts: Arc<RefreshAttempts>,
    backoff: Arc<Backoff>,
    connections: Arc<ConnectionRecords>,
    outcomes: Arc<RefreshOutcomes>,
    writes: Arc<RefreshWrites>,
    recoveries: Arc<Recoveries>,
}

impl Refresher {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        timing: &RefreshTiming,
        steps: &RefreshSteps,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            single_flight: Arc::clone(&base.single_flight),
            attempts: Arc::clone(&steps.attempts),
            backoff: Arc::clone(&timing.backoff),
            connections: Arc::clone(&records.connections),
            outcomes: Arc::clone(&steps.outcomes),
            writes: Arc::clone(&steps.writes),
            recoveries: Arc::clone(&timing.recoveries),
        }
    }

    /// Refreshes, once; absent where somebody else was faster.
    async fn attempt(
        self: &Arc<Self>,
        found: Loaded<Connection>,
        lease: Found<Lease>,
        kind: AttemptKind,
    ) -> Option<RefreshResult> {
        let Some(provider) = self.providers.get(&found.value.provider).map(Arc::clone) else {
            return Some(Err(RefreshFailure::SignIn(SignInCause::AccessEnded)));
        };
        // Before anything is risked: an answer that cannot be verified would be lost, and a provider that is down would
        // not answer the last time either.
        let unavailable = match kind {
            AttemptKind::First => provider.ready().await.err().map(trouble_of),
            AttemptKind::Recovery => recoverable(provider.probe().await).err(),
        };
        if let Some(trouble) = unavailable {
            let asked = provider.retry_after();
            return self
                .attempts
                .on_unavailable(found, kind, ProviderUnavailable { trouble, asked })
                .await;
        }
        let lease = lease.as_ref().map_or(Expect::Absent, Loaded::expect);
        match self.attempts.intend(found, lease, kind).await {
            Ok(Some(intent)) => Some(self.execute(&provider, intent).await),
            Ok(None) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    async fn execute(
        self: &Arc<Self>,
        provider: &Arc<dyn IdentityProvider>,
        intent: Intent,
    ) -> RefreshResult {
        match self.attempts.send(provider.as_ref(), &intent, None).await {
            Ok(refreshed) => self.outcomes.on_success(intent, refreshed).await,
            Err(error) => {
                self.outcomes
                    .on_failure(provider.as_ref(), intent, error)
                    .await
            }
        }
    }

    /// The connection with a newer token than this one has.
    pub(crate) async fn refresh(self: &Arc<Self>, old: &Connection) -> RefreshResult {
        let (id, serial) = (old.id.clone(), old.grant.serial);
        let refresher = Arc::clone(self);
        let begin = || {
            let guard = FlightGuard {
                refresher: Arc::clone(&refresher),
                id: id.clone(),
            };
            async move { guard.refresher.run(&guard.id, serial).await }.boxed()
        };
        self.single_flight.join(&old.id, begin).await
    }

    /// Looks until there is a newer token, somebody has to sign in, or it takes too long. Refreshes if nobody else does.
    async fn run(self: &Arc<Self>, id: &ConnectionId, mut serial: u64) -> RefreshResult {
        let end = Instant::now() + self.rules.renewal.wait;
        let mut orphan = None;
        loop {
            let woken = self.store.watch(&Key::connection(id)).await?;
            let (connection, lease) = self.connections.load_with_lease(id).await?;
            let connection = connection.ok_or(RefreshFailure::Gone)?;
            if connection.value.grant.serial != serial {
                return Ok(Arc::new(connection.value));
            }
            if let Some(failure) = self.backoff.not_before(&connection.value.renewal) {
                return Err(failure);
            }
            // The holder may only be slow: an intent without a lease counts as lost when it is seen twice.
            let seen = orphan == Some(connection.generation);
            let kind = match connection.value.renewal.next(lease.is_some()) {
                RefreshAction::Nothing => {
                    return Err(RefreshFailure::SignIn(SignInCause::AccessEnded));
                }
                RefreshAction::Refresh => AttemptKind::First,
                RefreshAction::TryAgain
                    if self.recoveries.may_try_again(&connection.value).await? =>
                {
                    AttemptKind::First
                }
                RefreshAction::TryAgain => {
                    return Err(RefreshFailure::SignIn(SignInCause::NotRenewed));
                }
                RefreshAction::Verify => match self.verify(connection).await? {
                    Some(verified) if verified.is_valid_for(self.clock.now(), 1) => {
                        return Ok(verified);
                    }
                    verified => {
                        serial = verified.map_or(serial, |verified| verified.grant.serial);
                        continue;
                    }
                },
                RefreshAction::Recover if seen => AttemptKind::Recovery,
                RefreshAction::GiveUp if seen => return self.outcomes.give_up(connection).await,
                RefreshAction::Recover | RefreshAction::GiveUp | RefreshAction::Wait => {
                    orphan = lease.is_none().then_some(connection.generation);
                    self.pause(end, woken).await?;
                    continue;
                }
            };
            if let Some(result) = self.attempt(connection, lease, kind).await {
                return result;
            }
        }
    }

    /// Until somebody changes the connection, but not for long.
    pub(crate) async fn pause(
        &self,
        end: Instant,
        woken: impl Future<Output = ()>,
    ) -> Result<(), RefreshFailure> {
        let until = end.min(Instant::now() + self.rules.refresh_recheck_interval);
        // Either way it is time to look.
        let _ = timeout_at(until, woken).await;
        if Instant::now() >= end {
            return Err(RefreshFailure::InProgress);
        }
        Ok(())
    }

    /// Verifies what was held back. The connection with it, where it is good; nothing where somebody else was faster.
    async fn verify(
        &self,
        found: Loaded<Connection>,
    ) -> Result<Option<Arc<Connection>>, RefreshFailure> {
        let Some(provider) = self.providers.get(&found.value.provider).map(Arc::clone) else {
            return Err(RefreshFailure::SignIn(SignInCause::AccessEnded));
        };
        let mut found = found;
        let Some(unverified) = found.value.unverified.take() else {
            found.value.renewal = RefreshState::Idle;
            return self.verified(found).await;
        };
        let grant = &found.value.grant;
        let known = Known {
            issuer: &grant.issuer,
            subject: &grant.account.sub,
            proof: &grant.proof,
        };
        match provider.verify(known, &unverified).await {
            Ok(issued_at) => {
                found.value.renewal = RefreshState::Idle;
                found.value = with_verified(found.value, unverified, issued_at);
                self.verified(found).await
            }
            Err(VerifyError::NotYet) => {
                found.value.unverified = Some(unverified);
                self.still_unverified(found).await
            }
            Err(VerifyError::Foreign(rule)) => {
                let refresh_token = found.value.grant.tokens.refresh_token.clone();
                let ended = self
                    .writes
                    .end(found, EventKind::AccountLinkConflict, rule.name())
                    .await;
                provider
                    .revoke(&unverified.tokens.access_token, refresh_token.as_ref())
                    .await;
                ended.map(Some)
            }
        }
    }

    async fn verified(
        &self,
        verified: Loaded<Connection>,
    ) -> Result<Option<Arc<Connection>>, RefreshFailure> {
        let put = self.connections.put(&verified).map(|put| vec![put]);
        if self.connections.commit(put).await? == Outcome::Conflict {
            return Ok(None);
        }
        Event::for_connection(&verified.value).emit(EventKind::TokenRefreshed);
        Ok(Some(Arc::new(verified.value)))
    }

    /// The key is still not there.
    async fn still_unverified(
        &self,
        mut found: Loaded<Connection>,
    ) -> Result<Option<Arc<Connection>>, RefreshFailure> {
        let now = self.clock.now();
        found.value.renewal = found
            .value
            .renewal
            .unverified_again(now, self.chance.spread());
        let put = self.connections.put(&found).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.connections.commit(put).await?;
        Err(self
            .backoff
            .not_before(&found.value.renewal)
            .unwrap_or(RefreshFailure::InProgress))
    }
}

/// The connection with what was held back. A token for a part of what it may is asked for again by whoever wants it.
fn with_verified(
    mut connection: Connection,
    verified: Unverified,
    issued_at: Option<u64>,
) -> Connection {
    if verified.own {
        let refreshed = Refreshed {
            tokens: verified.tokens,
            issued_at,
        };
        connection.grant = renew_grant(connection.grant, refreshed);
    } else {
        let proof = &mut connection.grant.proof;
        proof.issued_at = issued_at.unwrap_or(proof.issued_at);
    }
    connection
}
