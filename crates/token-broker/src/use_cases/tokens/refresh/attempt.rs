//! One attempt to refresh: the intent is written down before the refresh token leaves, and what came of it after.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    connection::Connection,
    derived_token::DerivedTokenKey,
    random::RandomSource,
    refresh_state::{BackoffReason, Lease, RefreshState},
    refusal::Refusal,
};
use hubkey_oidc::{IdentityProvider, IdpError, RefreshError, Refreshable, Refreshed};
use hubkey_store::{
    Change, Expect, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};
use tokio::time::{Instant, sleep};

use crate::use_cases::{
    base::Base,
    records::{Records, connections::ConnectionRecords},
    rules::Rules,
    tokens::{
        refresh::{backoff::Backoff, timing::RefreshTiming},
        single_flight::RefreshResult,
    },
};

/// How often a provider that could not be reached is tried again at once; no byte was sent.
const MAX_CONNECT_ATTEMPTS: u32 = 3;

const CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// An intent skips fewer generations than that, by chance: whoever withdraws one that a failover has lost does not take
/// another's for it.
const SKIPPED: u64 = 1 << 20;

/// Whether the refresh token was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptKind {
    /// It was not.
    First,
    /// It was, and nobody knows how that ended: the last time.
    Recovery,
}

/// An intent that is written down.
pub(crate) struct Intent {
    /// As it is stored.
    pub(crate) connection: Loaded<Connection>,
    /// What a change of the lease has to expect.
    pub(crate) lease: Expect,
    /// What stood there before.
    pub(crate) before: RefreshState,
    pub(crate) replaced: Replaced,
    pub(crate) kind: AttemptKind,
    /// The refresh token is not sent after that.
    send_before: Instant,
}

/// Which record an intent replaced. Where a failover has lost the intent, one as old as that may stand there again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replaced {
    pub(crate) generation: u64,
    pub(crate) serial: u64,
}

/// Why nothing was risked, and for how long the provider is not asked, if that is known.
pub(crate) struct ProviderUnavailable {
    pub(crate) trouble: BackoffReason,
    pub(crate) asked: Option<Duration>,
}

/// Writes the intent down, sends the refresh token, and takes the intent back where nothing was sent.
#[derive(Debug)]
pub(crate) struct RefreshAttempts {
    store: Arc<dyn Store>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    backoff: Arc<Backoff>,
    connections: Arc<ConnectionRecords>,
}

impl RefreshAttempts {
    pub(crate) fn new(base: &Base, records: &Records, timing: &RefreshTiming) -> Self {
        Self {
            store: Arc::clone(&base.store),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            backoff: Arc::clone(&timing.backoff),
            connections: Arc::clone(&records.connections),
        }
    }

    /// Writes down that the refresh token will be sent, and takes the lease, in one commit.
    pub(crate) async fn intend(
        &self,
        found: Loaded<Connection>,
        lease: Expect,
        kind: AttemptKind,
    ) -> Result<Option<Intent>, StoreError> {
        let send_before = Instant::now() + self.rules.renewal.send_within;
        let before = found.value.renewal.clone();
        let replaced = Replaced {
            generation: found.generation,
            serial: found.value.grant.serial,
        };
        let attempt = self.chance.number();
        let mut begun = found;
        begun.value.renewal = match kind {
            AttemptKind::First => RefreshState::Refreshing { attempt },
            AttemptKind::Recovery => RefreshState::Recovering { attempt },
        };
        let skipped = attempt % SKIPPED;
        let changes = vec![
            self.connections.put(&begun)?.skipping(skipped),
            put_lease(&begun.value, lease, self.rules.renewal.lease)?,
        ];
        let outcome = self.store.commit(changes).await;
        let intent = Intent {
            connection: begun.committed_skipping(skipped),
            lease: Expect::Generation(lease.next()),
            before,
            replaced,
            kind,
            send_before,
        };
        match outcome {
            Ok(Outcome::Done) => Ok(Some(intent)),
            Ok(Outcome::Conflict) => Ok(None),
            // Perhaps it is written and perhaps not, and nothing was sent.
            Err(error) => {
                self.withdraw_if_written(&intent).await;
                Err(error)
            }
        }
    }

    /// Sends the refresh token, for the connection's own token or for one of a target, measured.
    pub(crate) async fn send(
        &self,
        provider: &dyn IdentityProvider,
        intent: &Intent,
        target: Option<&DerivedTokenKey>,
    ) -> Result<Refreshed, RefreshError> {
        let began = Instant::now();
        let result = self.send_once(provider, intent, target).await;
        let outcome = result.as_ref().map_or_else(RefreshError::outcome, |_| "ok");
        metrics::histogram!(
            "hubkey_token_refresh_duration_seconds",
            "provider" => intent.connection.value.provider.as_str().to_owned(),
            "outcome" => outcome,
        )
        .record(began.elapsed().as_secs_f64());
        result
    }

    /// Only what never left may be sent again here.
    async fn send_once(
        &self,
        provider: &dyn IdentityProvider,
        intent: &Intent,
        target: Option<&DerivedTokenKey>,
    ) -> Result<Refreshed, RefreshError> {
        let connection = &intent.connection.value;
        let wish = &connection.wish;
        let (audience, resource) = match target {
            Some(target) => (&target.audience, &target.resource),
            None => (&wish.audience, &wish.resource),
        };
        let Some(refresh_token) = &connection.grant.tokens.refresh_token else {
            return Err(RefreshError::Revoked);
        };
        let refreshable = Refreshable {
            refresh_token,
            send_before: intent.send_before,
            issuer: &connection.grant.issuer,
            subject: &connection.grant.account.sub,
            proof: &connection.grant.proof,
            audience: audience.as_deref(),
            resource: resource.as_deref(),
            scopes: target.and_then(|target| target.scopes.as_ref()),
        };
        for _ in 1..MAX_CONNECT_ATTEMPTS {
            if Instant::now() >= intent.send_before {
                return Err(RefreshError::NotSent);
            }
            match provider.refresh(refreshable).await {
                Err(RefreshError::NotSent) => sleep(CONNECT_PAUSE).await,
                result => return result,
            }
        }
        provider.refresh(refreshable).await
    }

    /// The provider does not work, and nothing was risked.
    pub(crate) async fn on_unavailable(
        &self,
        found: Loaded<Connection>,
        kind: AttemptKind,
        ProviderUnavailable { trouble, asked }: ProviderUnavailable,
    ) -> Option<RefreshResult> {
        let mut found = found;
        let changes = match kind {
            AttemptKind::First => {
                let rest = self
                    .backoff
                    .retry_later(&found.value.renewal, trouble, asked);
                found.value.renewal = rest;
                self.connections.put(&found).map(|put| vec![put])
            }
            // Nobody else tries for a while.
            AttemptKind::Recovery => {
                let rest = self.rules.renewal.recover_after;
                put_lease(&found.value, Expect::Absent, rest).map(|put| vec![put])
            }
        };
        match self.connections.commit(changes).await {
            Ok(Outcome::Done) => Some(Err(self.backoff.failure(&found.value.renewal, trouble))),
            Ok(Outcome::Conflict) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Takes back an intent of which nothing was sent, if it is there.
    async fn withdraw_if_written(&self, intent: &Intent) {
        let key = Key::connection(&intent.connection.value.id);
        let stored: Result<Found<Connection>, _> = self.store.load(&key).await;
        let Ok(Some(mut stored)) = stored else {
            return;
        };
        if stored.value.renewal == intent.connection.value.renewal {
            stored.value.renewal = intent.before.clone();
            let put = self.connections.put(&stored).map(|put| vec![put]);
            if let Err(error) = self.connections.commit(put).await {
                tracing::warn!(%error, "an intent to refresh could not be withdrawn");
            }
        }
    }
}

/// Whether a refresh token may be tried a second time, by what one that never was met: not where hubkey's registration is
/// refused, since the answer would say nothing of the token.
pub(crate) fn recoverable(witness: Result<Option<Refusal>, IdpError>) -> Result<(), BackoffReason> {
    match witness {
        Ok(Some(refusal)) if refusal.may_mean_the_registration() => {
            Err(BackoffReason::Misconfigured)
        }
        Ok(_) => Ok(()),
        Err(error) => Err(trouble_of(error)),
    }
}

pub(crate) fn trouble_of(error: IdpError) -> BackoffReason {
    match error {
        IdpError::Misconfigured(_) | IdpError::RuleBroken(_) | IdpError::Userinfo(_) => {
            BackoffReason::Misconfigured
        }
        IdpError::Unavailable | IdpError::OutcomeUnknown | IdpError::Refused(_) => {
            BackoffReason::Unavailable
        }
    }
}

/// The change that takes the lease of a connection, or changes when it ends.
pub(crate) fn put_lease(
    connection: &Connection,
    expect: Expect,
    life: Duration,
) -> Result<Change, StoreError> {
    Change::put(Key::lease(&connection.id), expect, &Lease {}, life)
}
