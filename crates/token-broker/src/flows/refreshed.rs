//! What came of an attempt to refresh, written down.

use std::{sync::Arc, time::Duration};

use hubkey_protocol::SignInCause;
use tokio::time::{Instant, sleep};

use super::{
    Flows,
    attempt::{Intent, Readiness, Replaced, put_lease},
    flights::{Landing, Missed},
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::{Connection, Grant},
        renewal::{Renewal, Trouble},
    },
    idp::{IdentityProvider, RefreshError, Refreshed},
    store::{
        Expect, Key, Outcome, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

impl Flows {
    /// There is a new token. It is stored before anybody gets it; if the store fails, it is held here meanwhile.
    pub(super) async fn keep(self: &Arc<Self>, intent: Intent, refreshed: Refreshed) -> Landing {
        let mut connection = intent.connection;
        let replaced = intent.replaced;
        connection.value.grant = renewed(connection.value.grant, refreshed);
        connection.value.renewal = Renewal::Idle;
        let now = self.clock.now();
        let extends = connection
            .value
            .is_to_be_extended(now, self.rules.connection_life);
        if extends {
            connection.value.extended_at = now;
        }
        if let Some(landing) = self.write_or_hold(&connection, replaced).await {
            return landing;
        }
        self.note_recovery(&connection.value, &intent.before).await;
        Event::of(&connection.value).tell(What::TokenRefreshed);
        if extends {
            self.note_extended_later(connection.value.clone());
        }
        Ok(Arc::new(connection.value))
    }

    /// Writes what came, or holds it here while the store fails. A landing where somebody else was faster.
    pub(super) async fn write_or_hold(
        self: &Arc<Self>,
        connection: &Loaded<Connection>,
        replaced: Replaced,
    ) -> Option<Landing> {
        match self.write_result(connection, replaced).await {
            Ok(Outcome::Done) => None,
            Ok(Outcome::Conflict) => Some(self.too_late(connection.value.clone()).await),
            Err(error) => {
                self.hold_in_memory(connection, replaced, &error);
                None
            }
        }
    }

    /// Somebody took this attempt for lost, and what is stored now stands; or the connection was ended meanwhile, and
    /// what came goes back.
    pub(super) async fn too_late(&self, connection: Connection) -> Landing {
        let key = Key::connection(&connection.id);
        let stored: Found<Connection> = self.store.load(&key).await?;
        let ended = match stored {
            Some(stored) if stored.value.renewal != Renewal::Ended => {
                return Err(Missed::InProgress);
            }
            stored => stored.is_some(),
        };
        let (at, id) = (&connection.provider, &connection.id);
        self.give_back_grant(at, id, connection.grant).await;
        // Signed out by its kernel, or ended meanwhile by a logout at the provider.
        Err(if ended {
            Missed::SignIn(SignInCause::AccessEnded)
        } else {
            Missed::Gone
        })
    }

    /// Keeps the connection in memory and tries for a while to store it.
    pub(super) fn hold_in_memory(
        self: &Arc<Self>,
        connection: &Loaded<Connection>,
        replaced: Replaced,
        error: &StoreError,
    ) {
        tracing::warn!(%error, "a refreshed token could not be stored and is held in memory meanwhile");
        self.flights.hold(connection);
        let (flows, connection) = (Arc::clone(self), connection.clone());
        self.flights.spawn(async move {
            if !flows.stored_at_last(&connection, replaced).await {
                tracing::error!("a refreshed token could not be stored and is lost");
            }
            flows.flights.let_go(&connection.value.id);
        });
    }

    async fn stored_at_last(&self, connection: &Loaded<Connection>, replaced: Replaced) -> bool {
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
    pub(super) async fn write_result(
        &self,
        connection: &Loaded<Connection>,
        replaced: Replaced,
    ) -> Result<Outcome, StoreError> {
        let put = self.put_connection(connection).map(|put| vec![put]);
        let outcome = self.written(put).await?;
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
        let put = self.put_connection(&over).map(|put| vec![put]);
        self.written(put).await
    }

    pub(super) fn note_extended_later(self: &Arc<Self>, connection: Connection) {
        let flows = Arc::clone(self);
        self.flights.spawn(async move {
            if let Err(error) = flows.note_extended(&connection).await {
                tracing::warn!(%error, "a connection could not be extended in its user's index");
            }
        });
    }

    /// There is no new token.
    pub(super) async fn miss(
        self: &Arc<Self>,
        provider: &dyn IdentityProvider,
        intent: Intent,
        error: RefreshError,
    ) -> Landing {
        match error {
            RefreshError::NotSent | RefreshError::Withheld => {
                self.rest(intent, Trouble::Unavailable, None).await
            }
            RefreshError::Misconfigured => self.rest(intent, Trouble::Misconfigured, None).await,
            RefreshError::Later {
                refusal,
                retry_after,
            } => self.rest_or_suspend(intent, refusal, retry_after).await,
            RefreshError::Registration(refusal) => self.refuse_registration(intent, &refusal).await,
            RefreshError::Rejected { refusal, everybody } => {
                self.reject(intent, refusal, everybody).await
            }
            RefreshError::Unusable { refresh_token } => {
                self.keep_refresh_token(intent, refresh_token).await
            }
            RefreshError::Unverified {
                refresh_token,
                unverified,
            } => {
                self.keep_unverified(intent, (refresh_token, *unverified))
                    .await
            }
            RefreshError::Lost if intent.ready == Readiness::First => self.lose(intent).await,
            RefreshError::Lost => {
                self.end(intent.connection, What::TokenRevoked, "lost")
                    .await
            }
            RefreshError::Revoked if intent.ready == Readiness::Recovery => {
                self.end(intent.connection, What::ReuseDetected, "invalid_grant")
                    .await
            }
            RefreshError::Revoked => {
                self.end(intent.connection, What::TokenRevoked, "invalid_grant")
                    .await
            }
            RefreshError::Foreign {
                word,
                access_token,
                refresh_token,
            } => {
                let landing = self
                    .end(intent.connection, What::IdentityConflict, word)
                    .await;
                provider.revoke(&access_token, refresh_token.as_ref()).await;
                landing
            }
        }
    }

    /// The refresh token was not used: as before, but not at once.
    pub(super) async fn rest(
        &self,
        intent: Intent,
        trouble: Trouble,
        asked: Option<Duration>,
    ) -> Landing {
        if intent.ready == Readiness::Recovery {
            self.forget_outcome(intent.connection, intent.lease).await?;
            return Err(self.trouble(&Renewal::Unknown, trouble));
        }
        let mut connection = intent.connection;
        connection.value.renewal = self.rest_again(&intent.before, trouble, asked);
        let put = self.put_connection(&connection).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.written(put).await?;
        Err(self.trouble(&connection.value.renewal, trouble))
    }

    /// Nobody knows whether the refresh token was used.
    async fn lose(&self, intent: Intent) -> Landing {
        Event::of(&intent.connection.value)
            .reason("refresh_lost")
            .tell(What::ProviderFailed);
        self.forget_outcome(intent.connection, intent.lease).await?;
        Err(Missed::InProgress)
    }

    /// Notes that the outcome is unknown, with a lease for as long as it is too early to try once more.
    async fn forget_outcome(
        &self,
        mut connection: Loaded<Connection>,
        lease: Expect,
    ) -> Result<(), StoreError> {
        connection.value.renewal = Renewal::Unknown;
        let rest = self.rules.renewal.recover_after;
        let changes = vec![
            self.put_connection(&connection)?,
            put_lease(&connection.value, lease, rest)?,
        ];
        if self.store.commit(changes).await? == Outcome::Conflict {
            // The lease is over already, so it is late enough.
            let put = self.put_connection(&connection)?;
            let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        }
        Ok(())
    }

    /// Nobody knows how the second and last attempt ended.
    pub(super) async fn give_up(&self, connection: Loaded<Connection>) -> Landing {
        self.end(connection, What::TokenRevoked, "lost").await
    }

    /// The grant is gone, and the refresh token with it.
    pub(super) async fn end(
        &self,
        mut connection: Loaded<Connection>,
        what: What,
        reason: &'static str,
    ) -> Landing {
        connection.value.end();
        let put = self.put_connection(&connection).map(|put| vec![put]);
        match self.written(put).await? {
            Outcome::Done => {
                Event::of(&connection.value).reason(reason).tell(what);
                Err(Missed::SignIn(SignInCause::AccessEnded))
            }
            // Somebody took this attempt for lost. What is stored now stands.
            Outcome::Conflict => Err(Missed::InProgress),
        }
    }
}

/// The grant after a refresh. Without a new refresh token the old one stays (RFC 6749 section 6).
pub(super) fn renewed(old: Grant, refreshed: Refreshed) -> Grant {
    let mut proof = old.proof;
    proof.issued_at = refreshed.issued_at.unwrap_or(proof.issued_at);
    Grant {
        scopes: refreshed.scopes.unwrap_or(old.scopes),
        access_token: refreshed.access_token,
        obtained_at: refreshed.obtained_at,
        expires_at: refreshed.expires_at,
        refresh_token: refreshed.refresh_token.or(old.refresh_token),
        serial: old.serial + 1,
        proof,
        issuer: old.issuer,
        account: old.account,
        token_type: old.token_type,
    }
}
