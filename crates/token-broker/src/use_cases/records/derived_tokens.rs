//! Tokens beside a connection's own in the store.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    derived_token::{DerivedBy, DerivedTokenEntry, DerivedTokenSet},
    identity::ServerIdentity,
};
use hubkey_protocol::{ConnectionId, secret::AccessToken};
use hubkey_store::{
    Change, Key, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};

use crate::use_cases::{base::Base, failure::KernelFailure, tokens::single_flight::SingleFlight};

/// How long the record lives at least.
const MIN_LIFETIME: Duration = Duration::from_mins(1);

/// How often a write is tried against others of the same connection.
const MAX_ATTEMPTS: usize = 8;

/// How much of a grant is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevocationScope {
    /// All of a grant.
    Grant,
    /// Only access tokens that came straight from the grant: others still use it. The end of an exchanged token may be
    /// the end of the session that it came of (seen at Keycloak).
    AccessTokens,
}

/// Reads and writes derived tokens.
#[derive(Debug)]
pub(crate) struct DerivedTokenRecords {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    single_flight: Arc<SingleFlight>,
}

impl DerivedTokenRecords {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
            single_flight: Arc::clone(&base.single_flight),
        }
    }

    /// A connection of this very server token, and its tokens beside its own.
    pub(crate) async fn load_own_with_derived(
        &self,
        kernel: &ServerIdentity,
        id: &ConnectionId,
    ) -> Result<(Loaded<Connection>, Found<DerivedTokenSet>), KernelFailure> {
        let keys = (Key::connection(id), Key::targets(id));
        let (found, targets) = self.store.load_pair(&keys.0, &keys.1).await?;
        let found: Found<Connection> = self.single_flight.held(id).or(found);
        let found = found.filter(|found| found.value.is_of(kernel));
        Ok((found.ok_or(KernelFailure::NotFound)?, targets))
    }

    /// Keeps what is known about a target. If that fails, it is asked for again.
    pub(crate) async fn note(&self, id: &ConnectionId, entry: DerivedTokenEntry) {
        let put = |found| self.put(id, found, entry.clone());
        if let Err(error) = self.store.amend(&Key::targets(id), MAX_ATTEMPTS, put).await {
            tracing::warn!(%error, "a token beside a connection's own could not be kept");
        }
    }

    /// The change that writes what is known about one target beside what was found.
    pub(crate) fn put(
        &self,
        id: &ConnectionId,
        found: Found<DerivedTokenSet>,
        entry: DerivedTokenEntry,
    ) -> Result<Change, StoreError> {
        let now = self.clock.now();
        let (mut targets, expect) = Loaded::or_new(found);
        targets.put(entry, now);
        let life = targets.end().map_or(MIN_LIFETIME, |end| now.until(end));
        Change::put(Key::targets(id), expect, &targets, life.max(MIN_LIFETIME))
    }

    /// Forgets the tokens beside a connection's own, and says which are to be revoked. Those of a provider behind it are never
    /// shown to it.
    pub(crate) async fn forget(
        &self,
        id: &ConnectionId,
        scope: RevocationScope,
    ) -> Vec<AccessToken> {
        let found: Result<Found<DerivedTokenSet>, _> = self.store.load(&Key::targets(id)).await;
        let Ok(Some(found)) = found else {
            return Vec::new();
        };
        let delete = Change::delete(Key::targets(id), found.generation);
        if self.store.commit(vec![delete]).await.is_err() {
            tracing::warn!("tokens of an ended connection stay sealed in the store until they end");
        }
        let own = found.value.iter().filter(|entry| match scope {
            RevocationScope::Grant => entry.target.requested_issuer.is_none(),
            RevocationScope::AccessTokens => entry.target.way == DerivedBy::Refresh,
        });
        let tokens = own.filter_map(|entry| entry.token.as_ref());
        tokens.map(|token| token.access_token.clone()).collect()
    }
}
