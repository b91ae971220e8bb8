//! A refresh that was refused without a word that the grant is gone (ADR 49): its person may sign in at once, and nothing
//! that may still work is thrown away.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    refresh_state::{BackoffReason, RefreshState, SUSPENDED_FOR},
    refusal::Refusal,
};
use hubkey_protocol::SignInCause;
use hubkey_store::Outcome;

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        records::{Records, connections::ConnectionRecords},
        tokens::{
            refresh::{
                attempt::{AttemptKind, Intent},
                recovery::Recoveries,
                timing::RefreshTiming,
                write::RefreshWrites,
            },
            single_flight::{RefreshFailure, RefreshResult},
        },
    },
};

/// Suspends grants whose refresh was refused, and warns the operator.
#[derive(Debug)]
pub(crate) struct RefusedRefreshes {
    clock: Arc<dyn Clock>,
    connections: Arc<ConnectionRecords>,
    recoveries: Arc<Recoveries>,
    writes: Arc<RefreshWrites>,
}

impl RefusedRefreshes {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        timing: &RefreshTiming,
        writes: &Arc<RefreshWrites>,
    ) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            connections: Arc::clone(&records.connections),
            recoveries: Arc::clone(&timing.recoveries),
            writes: Arc::clone(writes),
        }
    }

    /// The provider refused in words that may mean this refresh token. After a lost answer that was its last try.
    pub(crate) async fn reject(
        &self,
        intent: Intent,
        refusal: Refusal,
        everybody: Option<bool>,
    ) -> RefreshResult {
        warn_operator(&intent.connection.value, &refusal, everybody);
        if intent.kind == AttemptKind::Recovery {
            return self
                .writes
                .end(
                    intent.connection,
                    EventKind::GrantEnded,
                    "refused_after_loss",
                )
                .await;
        }
        self.suspend(intent, refusal).await
    }

    /// The provider asks for patience. After a lost answer the refresh token has had its second and last try at once.
    pub(crate) async fn back_off_or_suspend(
        &self,
        intent: Intent,
        refusal: Refusal,
        asked: Option<Duration>,
    ) -> RefreshResult {
        match intent.kind {
            AttemptKind::First => {
                self.writes
                    .back_off(intent, BackoffReason::Unavailable, asked)
                    .await
            }
            AttemptKind::Recovery => self.suspend(intent, refusal).await,
        }
    }

    /// The provider refuses hubkey's registration, whatever the token: all goes on once the operator has mended that.
    pub(crate) async fn refuse_registration(
        &self,
        intent: Intent,
        refusal: &Refusal,
    ) -> RefreshResult {
        let connection = &intent.connection.value;
        tracing::error!(
            provider = connection.provider.as_str(),
            status = refusal.status,
            code = refusal.code.as_str(),
            "The provider's token endpoint refuses hubkey's registration (client id, secret or key), also for a refresh \
             token that never was. Nobody's access is lost; it is renewed again once the registration is right."
        );
        Event::for_connection(connection)
            .reason("registration_refused")
            .emit(EventKind::ProviderFailed);
        self.writes
            .back_off(intent, BackoffReason::Misconfigured, None)
            .await
    }

    async fn suspend(&self, intent: Intent, refusal: Refusal) -> RefreshResult {
        let mut connection = intent.connection;
        let is_new = !matches!(intent.before, RefreshState::Suspended { .. });
        connection.value.renewal = RefreshState::Suspended {
            until: self.clock.now().after(SUSPENDED_FOR),
            recovery: self.recoveries.load(&connection.value, &refusal).await?,
            refusal,
        };
        let put = self.connections.put(&connection).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.connections.commit(put).await?;
        if is_new {
            Event::for_connection(&connection.value)
                .reason("refused")
                .emit(EventKind::GrantSuspended);
        }
        Err(RefreshFailure::SignIn(SignInCause::NotRenewed))
    }
}

fn warn_operator(connection: &Connection, refusal: &Refusal, everybody: Option<bool>) {
    let whose = match everybody {
        Some(true) => "all",
        Some(false) => "this_token",
        None => "unknown",
    };
    tracing::warn!(
        provider = connection.provider.as_str(),
        status = refusal.status,
        code = refusal.code.as_str(),
        whose,
        "The provider's token endpoint refused a refresh in words that do not say that the grant is gone. Its person is \
         asked to sign in; `whose` says whether a refresh token that never was is refused in the same way."
    );
}
