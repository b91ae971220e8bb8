//! Refreshing a connection's token once, however many kernels, replicas and crashes are in play (SECURITY section 5.1).

use std::sync::Arc;

use futures_util::FutureExt;
use hubkey_protocol::{ConnectionId, SignInCause};
use tokio::time::{Instant, timeout_at};

use super::{
    Flows,
    attempt::Readiness,
    flights::{Landing, Missed},
};
use crate::{
    domain::{
        connection::Connection,
        renewal::{Lease, Next, Renewal},
    },
    store::{
        Change, Key, Outcome, Purpose, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// Takes a flight off the list, however it ended.
struct Leaving {
    flows: Arc<Flows>,
    id: ConnectionId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.flows.flights.leave(&self.id);
    }
}

impl Flows {
    /// The connection with a newer token than this one has.
    pub(super) async fn refresh(self: &Arc<Self>, old: &Connection) -> Landing {
        let (id, serial) = (old.id.clone(), old.grant.serial);
        let flows = Arc::clone(self);
        let begin = || {
            let leaving = Leaving {
                flows: Arc::clone(&flows),
                id: id.clone(),
            };
            async move { leaving.flows.fly(&leaving.id, serial).await }.boxed()
        };
        self.flights.join(&old.id, begin).await
    }

    /// Looks until there is a newer token, somebody has to sign in, or it takes too long. Refreshes if nobody else does.
    async fn fly(self: &Arc<Self>, id: &ConnectionId, mut serial: u64) -> Landing {
        let end = Instant::now() + self.rules.renewal.wait;
        let mut orphan = None;
        loop {
            let woken = self.store.watch(&Key::connection(id)).await?;
            let (connection, lease) = self.refreshable(id).await?;
            let connection = connection.ok_or(Missed::Gone)?;
            if connection.value.grant.serial != serial {
                return Ok(Arc::new(connection.value));
            }
            if let Some(missed) = self.resting(&connection.value.renewal) {
                return Err(missed);
            }
            // Whoever is at it may only be late: an intent is given up for lost when it is seen so twice.
            let seen = orphan == Some(connection.generation);
            let ready = match connection.value.renewal.next(lease.is_some()) {
                Next::Nothing => return Err(Missed::SignIn(SignInCause::AccessEnded)),
                Next::Refresh => Readiness::First,
                Next::TryAgain if self.may_try_again(&connection.value).await? => Readiness::First,
                Next::TryAgain => return Err(Missed::SignIn(SignInCause::NotRenewed)),
                Next::Verify => match self.verify(connection).await? {
                    Some(verified) if verified.is_valid_for(self.clock.now(), 1) => {
                        return Ok(verified);
                    }
                    verified => {
                        serial = verified.map_or(serial, |verified| verified.grant.serial);
                        continue;
                    }
                },
                Next::Recover if seen => Readiness::Recovery,
                Next::GiveUp if seen => return self.give_up(connection).await,
                Next::Recover | Next::GiveUp | Next::Wait => {
                    orphan = lease.is_none().then_some(connection.generation);
                    self.pause(end, woken).await?;
                    continue;
                }
            };
            if let Some(landing) = self.attempt(connection, lease, ready).await {
                return landing;
            }
        }
    }

    /// Why nothing is asked of the provider for now, if so.
    pub(super) fn resting(&self, renewal: &Renewal) -> Option<Missed> {
        let now = self.clock.now();
        let (rest, trouble) = renewal.rest(now)?;
        Some(if renewal.waits_too_long(now) {
            Missed::SignIn(SignInCause::NotRenewed)
        } else {
            Missed::Provider(trouble, rest)
        })
    }

    /// Until somebody changes the connection, but not for long.
    pub(super) async fn pause(
        &self,
        end: Instant,
        woken: impl Future<Output = ()>,
    ) -> Result<(), Missed> {
        let until = end.min(Instant::now() + self.rules.refresh_safety);
        // Either way it is time to look.
        let _ = timeout_at(until, woken).await;
        if Instant::now() >= end {
            return Err(Missed::InProgress);
        }
        Ok(())
    }

    pub(super) async fn refreshable(
        &self,
        id: &ConnectionId,
    ) -> Result<(Found<Connection>, Found<Lease>), StoreError> {
        let connection = Key::connection(id);
        let both = self.store.load_pair(&connection, &Key::lease(id)).await;
        match both {
            // A lease says all that it says by being there: somebody may be sending the refresh token (SECURITY I5).
            Err(StoreError::KeyRetired(retired)) if retired.purpose == Purpose::Lease => {
                let lease = Loaded {
                    value: Lease {},
                    generation: retired.generation,
                };
                Ok((self.store.load(&connection).await?, Some(lease)))
            }
            both => both,
        }
    }

    /// The change that writes a connection after one of its refresh. Whoever waits for it is woken.
    pub(super) fn put_connection(
        &self,
        connection: &Loaded<Connection>,
    ) -> Result<Change, StoreError> {
        let key = Key::connection(&connection.value.id);
        let life = self.rules.connection_life;
        Ok(Change::put(key, connection.expect(), &connection.value, life)?.waking())
    }

    /// Counts the life of a connection anew, now and then: it ends when no kernel uses it any more (SECURITY D12).
    /// Nobody waits for that, and if it fails the next use does it.
    pub(super) fn extend(self: &Arc<Self>, connection: &Loaded<Connection>) {
        let (now, life) = (self.clock.now(), self.rules.connection_life);
        if !connection.value.is_to_be_extended(now, life) {
            return;
        }
        let flows = Arc::clone(self);
        let mut connection = connection.clone();
        connection.value.extended_at = now;
        self.flights.spawn(async move {
            if let Err(error) = flows.write_extended(&connection).await {
                tracing::warn!(%error, "a connection could not be extended");
            }
        });
    }

    async fn write_extended(&self, connection: &Loaded<Connection>) -> Result<(), StoreError> {
        let put = self.put_connection(connection)?;
        if self.store.commit(vec![put]).await? == Outcome::Done {
            self.note_extended(&connection.value).await?;
        }
        Ok(())
    }

    /// In the user's index too, and where a logout looks.
    pub(super) async fn note_extended(&self, connection: &Connection) -> Result<(), StoreError> {
        self.enter_login(connection).await?;
        let end = connection.extended_at.after(self.rules.connection_life);
        self.change_index(&connection.kernel.user, |index| {
            index.extended(&connection.id, end);
        })
        .await
    }
}
