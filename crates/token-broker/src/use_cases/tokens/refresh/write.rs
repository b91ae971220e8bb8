//! The record of a connection after an attempt to refresh it.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    connection::Connection,
    refresh_state::{BackoffReason, RefreshState},
};
use hubkey_protocol::SignInCause;
use hubkey_store::{
    Expect, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};
use tokio::time::{Instant, sleep};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        common::Common,
        connections::revocation::Revocation,
        records::{Records, connections::ConnectionRecords},
        rules::Rules,
        tokens::{
            refresh::{
                attempt::{AttemptKind, Intent, Replaced, put_lease},
                backoff::Backoff,
                timing::RefreshTiming,
            },
            single_flight::{RefreshFailure, RefreshResult, SingleFlight},
        },
    },
};

/// Writes what came of an attempt over its intent.
#[derive(Debug)]
pub(crate) struct RefreshWrites {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    single_flight: Arc<SingleFlight>,
    backoff: Arc<Backoff>,
    connections: Arc<ConnectionRecords>,
    revocation: Arc<Revocation>,
}

impl RefreshWrites {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        timing: &RefreshTiming,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            rules: Arc::clone(&base.rules),
            single_flight: Arc::clone(&base.single_flight),
            backoff: Arc::clone(&timing.backoff),
            connections: Arc::clone(&records.connections),
            revocation: Arc::clone(&common.revocation),
        }
    }

    /// Writes what came, or holds it here while the store fails. A result where somebody else was faster.
    pub(crate) async fn write_or_hold(
        self: &Arc<Self>,
        connection: &Loaded<Connection>,
        replaced: Replaced,
    ) -> Option<RefreshResult> {
        match self.write_result(connection, replaced).await {
            Ok(Outcome::Done) => None,
            Ok(Outcome::Conflict) => Some(self.on_conflict(connection.value.clone()).await),
            Err(error) => {
                self.hold_in_memory(connection, replaced, &error);
                None
            }
        }
    }

    /// Somebody took this attempt for lost, and what is stored now stands; or the connection was ended meanwhile, and
    /// what came is revoked.
    pub(crate) async fn on_conflict(&self, connection: Connection) -> RefreshResult {
        let key = Key::connection(&connection.id);
        let stored: Found<Connection> = self.store.load(&key).await?;
        let ended = match stored {
            Some(stored) if stored.value.renewal != RefreshState::Ended => {
                return Err(RefreshFailure::InProgress);
            }
            stored => stored.is_some(),
        };
        let (at, id) = (&connection.provider, &connection.id);
        self.revocation.revoke_grant(at, id, connection.grant).await;
        // Signed out by its kernel, or ended meanwhile by a logout at the provider.
        Err(if ended {
            RefreshFailure::SignIn(SignInCause::AccessEnded)
        } else {
            RefreshFailure::Gone
        })
    }

    /// Keeps the connection in memory and tries for a while to store it.
    pub(crate) fn hold_in_memory(
        self: &Arc<Self>,
        connection: &Loaded<Connection>,
        replaced: Replaced,
        error: &StoreError,
    ) {
        tracing::warn!(%error, "a refreshed token could not be stored and is held in memory meanwhile");
        self.single_flight.hold(connection);
        let (this, connection) = (Arc::clone(self), connection.clone());
        self.single_flight.spawn(async move {
            if !this.retry_until_stored(&connection, replaced).await {
                tracing::error!("a refreshed token could not be stored and is lost");
            }
            this.single_flight.release(&connection.value.id);
        });
    }

    async fn retry_until_stored(
        &self,
        connection: &Loaded<Connection>,
        replaced: Replaced,
    ) -> bool {
        let times = self.rules.renewal;
        let end = Instant::now() + times.hold;
        while Instant::now() < end {
            sleep(times.hold_pause).await;
            // A conflict says that it was stored the first time, or that somebody took this attempt for lost.
            if let Ok(Outcome::Done | Outcome::Conflict) =
                self.write_result(connection, replaced).await
            {
                return true;
            }
        }
        false
    }

    /// Writes what came of an intent over the intent; or over what was there before it, where a failover of the store
    /// has lost the intent: the old refresh token is used up, so nothing there is worth keeping. What others have written
    /// since then stays.
    pub(crate) async fn write_result(
        &self,
        connection: &Loaded<Connection>,
        replaced: Replaced,
    ) -> Result<Outcome, StoreError> {
        let put = self.connections.put(connection).map(|put| vec![put]);
        let outcome = self.connections.commit(put).await?;
        if outcome == Outcome::Done {
            return Ok(outcome);
        }
        let key = Key::connection(&connection.value.id);
        let stored: Found<Connection> = self.store.load(&key).await?;
        let lost = stored.filter(|stored| {
            stored.generation <= replaced.generation && stored.value.grant.serial <= replaced.serial
        });
        let Some(older) = lost else {
            return Ok(outcome);
        };
        tracing::warn!(
            "the store has lost an intent to refresh; what came of it is stored all the same"
        );
        let over = Loaded {
            value: connection.value.clone(),
            generation: older.generation,
        };
        let put = self.connections.put(&over).map(|put| vec![put]);
        self.connections.commit(put).await
    }

    /// The refresh token was not used: as before, but not at once.
    pub(crate) async fn back_off(
        &self,
        intent: Intent,
        trouble: BackoffReason,
        asked: Option<Duration>,
    ) -> RefreshResult {
        if intent.kind == AttemptKind::Recovery {
            self.forget_outcome(intent.connection, intent.lease).await?;
            return Err(self.backoff.failure(&RefreshState::Unknown, trouble));
        }
        let mut connection = intent.connection;
        connection.value.renewal = self.backoff.retry_later(&intent.before, trouble, asked);
        let put = self.connections.put(&connection).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.connections.commit(put).await?;
        Err(self.backoff.failure(&connection.value.renewal, trouble))
    }

    /// Notes that the outcome is unknown, with a lease for as long as it is too early to try once more.
    pub(crate) async fn forget_outcome(
        &self,
        mut connection: Loaded<Connection>,
        lease: Expect,
    ) -> Result<(), StoreError> {
        connection.value.renewal = RefreshState::Unknown;
        let rest = self.rules.renewal.recover_after;
        let changes = vec![
            self.connections.put(&connection)?,
            put_lease(&connection.value, lease, rest)?,
        ];
        if self.store.commit(changes).await? == Outcome::Conflict {
            // The lease is over already, so it is late enough.
            let put = self.connections.put(&connection)?;
            let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        }
        Ok(())
    }

    /// The grant is gone, and the refresh token with it.
    pub(crate) async fn end(
        &self,
        mut connection: Loaded<Connection>,
        kind: EventKind,
        reason: &'static str,
    ) -> RefreshResult {
        connection.value.end();
        let put = self.connections.put(&connection).map(|put| vec![put]);
        match self.connections.commit(put).await? {
            Outcome::Done => {
                Event::for_connection(&connection.value)
                    .reason(reason)
                    .emit(kind);
                Err(RefreshFailure::SignIn(SignInCause::AccessEnded))
            }
            // Somebody took this attempt for lost. What is stored now stands.
            Outcome::Conflict => Err(RefreshFailure::InProgress),
        }
    }
}
