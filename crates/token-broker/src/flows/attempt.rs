//! One attempt to refresh: the intent is written down before the refresh token leaves, and what came of it after.

use std::{sync::Arc, time::Duration};

use hubkey_protocol::SignInCause;
use tokio::time::{Instant, sleep};

use super::{
    Flows,
    flights::{Landing, Missed},
};
use crate::{
    domain::{
        connection::Connection,
        refusal::Refusal,
        renewal::{Lease, Renewal, Trouble},
        target::Target,
    },
    idp::{IdentityProvider, IdpError, RefreshError, Refreshable, Refreshed},
    store::{
        Change, Expect, Key, Outcome, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// How often a provider that could not be reached is tried again at once; no byte was sent.
const CONNECT_TRIES: u32 = 3;
const CONNECT_PAUSE: Duration = Duration::from_millis(200);
/// An intent skips fewer generations than that, by chance: whoever withdraws one that a failover has lost does not take
/// another's for it.
const SKIPPED: u64 = 1 << 20;

/// Whether the refresh token was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It was not.
    First,
    /// It was, and nobody knows how that ended: the last time.
    Recovery,
}

/// An intent that is written down.
pub(super) struct Intent {
    /// As it is stored.
    pub(super) connection: Loaded<Connection>,
    /// What a change of the lease has to expect.
    pub(super) lease: Expect,
    /// What stood there before.
    pub(super) before: Renewal,
    pub(super) replaced: Replaced,
    pub(super) ready: Readiness,
    /// The refresh token is not sent after that.
    send_before: Instant,
}

/// Which record an intent replaced. Where a failover has lost the intent, one as old as that may stand there again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replaced {
    pub(super) generation: u64,
    pub(super) serial: u64,
}

/// Why nothing was risked, and for how long the provider is not asked, if that is known.
pub(super) struct Setback {
    pub(super) trouble: Trouble,
    pub(super) asked: Option<Duration>,
}

impl Flows {
    /// Refreshes, once; absent where somebody else was faster.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        found: Loaded<Connection>,
        lease: Found<Lease>,
        ready: Readiness,
    ) -> Option<Landing> {
        let Some(provider) = self.provider(&found.value.provider).map(Arc::clone) else {
            return Some(Err(Missed::SignIn(SignInCause::AccessEnded)));
        };
        // Before anything is risked: an answer that cannot be judged would be lost, and a provider that is down would
        // not answer the last time either.
        let setback = match ready {
            Readiness::First => provider.ready().await.err().map(trouble_of),
            Readiness::Recovery => recoverable(provider.answers().await).err(),
        };
        if let Some(trouble) = setback {
            let asked = provider.rest();
            return self
                .not_ready(found, ready, Setback { trouble, asked })
                .await;
        }
        let lease = lease.as_ref().map_or(Expect::Absent, Loaded::expect);
        match self.intend(found, lease, ready).await {
            Ok(Some(intent)) => Some(self.carry_out(&provider, intent).await),
            Ok(None) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Writes down that the refresh token will be sent, and takes the lease, in one commit.
    pub(super) async fn intend(
        &self,
        found: Loaded<Connection>,
        lease: Expect,
        ready: Readiness,
    ) -> Result<Option<Intent>, StoreError> {
        let send_before = Instant::now() + self.rules.renewal.send_within;
        let before = found.value.renewal.clone();
        let replaced = Replaced {
            generation: found.generation,
            serial: found.value.grant.serial,
        };
        let attempt = self.chance.number();
        let mut begun = found;
        begun.value.renewal = match ready {
            Readiness::First => Renewal::Refreshing { attempt },
            Readiness::Recovery => Renewal::Recovering { attempt },
        };
        let skipped = attempt % SKIPPED;
        let changes = vec![
            self.put_connection(&begun)?.skipping(skipped),
            put_lease(&begun.value, lease, self.rules.renewal.lease)?,
        ];
        let outcome = self.store.commit(changes).await;
        let intent = Intent {
            connection: begun.committed_skipping(skipped),
            lease: Expect::Generation(lease.next()),
            before,
            replaced,
            ready,
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

    async fn carry_out(
        self: &Arc<Self>,
        provider: &Arc<dyn IdentityProvider>,
        intent: Intent,
    ) -> Landing {
        match self.send(provider.as_ref(), &intent, None).await {
            Ok(refreshed) => self.keep(intent, refreshed).await,
            Err(error) => self.miss(provider.as_ref(), intent, error).await,
        }
    }

    /// Sends the refresh token, for the connection's own token or for one of a target, measured.
    pub(super) async fn send(
        &self,
        provider: &dyn IdentityProvider,
        intent: &Intent,
        target: Option<&Target>,
    ) -> Result<Refreshed, RefreshError> {
        let began = Instant::now();
        let result = self.sent_once(provider, intent, target).await;
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
    async fn sent_once(
        &self,
        provider: &dyn IdentityProvider,
        intent: &Intent,
        target: Option<&Target>,
    ) -> Result<Refreshed, RefreshError> {
        let connection = &intent.connection.value;
        let wish = &connection.wish;
        let (audience, resource) = match target {
            Some(target) => (&target.audience, &target.resource),
            None => (&wish.audience, &wish.resource),
        };
        let Some(refresh_token) = &connection.grant.refresh_token else {
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
        for _ in 1..CONNECT_TRIES {
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
    pub(super) async fn not_ready(
        &self,
        found: Loaded<Connection>,
        ready: Readiness,
        Setback { trouble, asked }: Setback,
    ) -> Option<Landing> {
        let mut found = found;
        let changes = match ready {
            Readiness::First => {
                let rest = self.rest_again(&found.value.renewal, trouble, asked);
                found.value.renewal = rest;
                self.put_connection(&found).map(|put| vec![put])
            }
            // Nobody else tries for a while.
            Readiness::Recovery => {
                let rest = self.rules.renewal.recover_after;
                put_lease(&found.value, Expect::Absent, rest).map(|put| vec![put])
            }
        };
        match self.written(changes).await {
            Ok(Outcome::Done) => Some(Err(self.trouble(&found.value.renewal, trouble))),
            Ok(Outcome::Conflict) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    pub(super) async fn written(
        &self,
        changes: Result<Vec<Change>, StoreError>,
    ) -> Result<Outcome, StoreError> {
        self.store.commit(changes?).await
    }

    pub(super) fn rest_again(
        &self,
        renewal: &Renewal,
        trouble: Trouble,
        asked: Option<Duration>,
    ) -> Renewal {
        renewal.rest_again(self.clock.now(), trouble, asked, self.spread())
    }

    pub(super) fn trouble(&self, renewal: &Renewal, trouble: Trouble) -> Missed {
        let rest = renewal.rest(self.clock.now());
        let rest = rest.map_or(self.rules.renewal.recover_after, |(rest, _)| rest);
        Missed::Provider(trouble, rest)
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
            let put = self.put_connection(&stored).map(|put| vec![put]);
            if let Err(error) = self.written(put).await {
                tracing::warn!(%error, "an intent to refresh could not be withdrawn");
            }
        }
    }
}

/// Whether a refresh token may be tried a second time, by what one that never was met: not where hubkey's registration is
/// refused, since the answer would say nothing of the token.
fn recoverable(witness: Result<Option<Refusal>, IdpError>) -> Result<(), Trouble> {
    match witness {
        Ok(Some(refusal)) if refusal.may_mean_the_registration() => Err(Trouble::Misconfigured),
        Ok(_) => Ok(()),
        Err(error) => Err(trouble_of(error)),
    }
}

pub(super) fn trouble_of(error: IdpError) -> Trouble {
    match error {
        IdpError::Misconfigured(_) | IdpError::Misbehaved(_) => Trouble::Misconfigured,
        _ => Trouble::Unavailable,
    }
}

/// The change that takes the lease of a connection, or changes when it ends.
pub(super) fn put_lease(
    connection: &Connection,
    expect: Expect,
    life: Duration,
) -> Result<Change, StoreError> {
    Change::put(Key::lease(&connection.id), expect, &Lease {}, life)
}
