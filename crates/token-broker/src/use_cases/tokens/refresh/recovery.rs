//! Suspended grants that may be tried again (ADR 49).

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    random::RandomSource,
    refresh_state::{Recovery, RefreshState, SUSPENDED_FOR},
    refusal::Refusal,
};
use hubkey_protocol::ConnectionId;
use hubkey_store::{
    Change, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        records::{Records, connections::ConnectionRecords},
    },
};

/// How often the record of a recovery is tried against concurrent ones.
const MAX_ATTEMPTS: usize = 4;

/// Finds out which suspended grants may be tried again.
#[derive(Debug)]
pub(crate) struct Recoveries {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    connections: Arc<ConnectionRecords>,
}

impl Recoveries {
    pub(crate) fn new(base: &Base, records: &Records) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            connections: Arc::clone(&records.connections),
        }
    }

    /// Whether the refresh token of a suspended grant may be tried now.
    pub(crate) async fn may_try_again(&self, connection: &Connection) -> Result<bool, StoreError> {
        let RefreshState::Suspended { refusal, .. } = &connection.renewal else {
            return Ok(false);
        };
        let recovery = self.load(connection, refusal).await?;
        Ok(connection.renewal.may_try_again(self.clock.now(), recovery))
    }

    /// Which recovery of a grant that was refused in this way is known.
    pub(crate) async fn load(
        &self,
        connection: &Connection,
        refusal: &Refusal,
    ) -> Result<Option<u64>, StoreError> {
        let key = Key::recovery(&connection.provider, refusal);
        let known: Found<Recovery> = self.store.load(&key).await?;
        Ok(known.map(|known| known.value.mark))
    }

    /// A suspended grant was refreshed: the others that were refused in the same way may be tried again. If that cannot be
    /// noted, each is tried when its own hour is over.
    pub(crate) async fn note(&self, connection: &Connection, before: &RefreshState) {
        let RefreshState::Suspended { refusal, .. } = before else {
            return;
        };
        let key = Key::recovery(&connection.provider, refusal);
        let recovery = Recovery {
            mark: self.chance.number(),
        };
        let put = |found: Found<Recovery>| {
            let expect = Loaded::expect_of(found.as_ref());
            Change::put(key.clone(), expect, &recovery, SUSPENDED_FOR)
        };
        if let Err(error) = self.store.amend(&key, MAX_ATTEMPTS, put).await {
            tracing::warn!(%error, "that a provider renews again could not be noted");
        }
    }

    /// A new sign-in takes the place of those suspended ones among a server's `others` that it would do for: their refresh tokens are
    /// deleted. The tokens are not revoked there, since some end all tokens of an account with one.
    pub(crate) async fn replace_suspended(
        &self,
        connection: &Connection,
        others: &[ConnectionId],
    ) -> Result<(), StoreError> {
        for id in others {
            let found: Found<Connection> = self.store.load(&Key::connection(id)).await?;
            let Some(mut old) = found else {
                continue;
            };
            let gives_way = old.value.renewal.gives_way(self.clock.now())
                && old.value.is_of(&connection.kernel)
                && old.value.grant.account.sub == connection.grant.account.sub
                && connection.satisfies(&old.value.provider, &old.value.wish);
            if gives_way {
                old.value.end();
                let put = self.connections.put(&old).map(|put| vec![put]);
                let (Outcome::Done | Outcome::Conflict) = self.connections.commit(put).await?;
                Event::for_connection(&old.value)
                    .reason("replaced")
                    .emit(EventKind::GrantEnded);
            }
        }
        Ok(())
    }
}
