//! What a refresh brought whose ID token cannot be verified yet, since its key is out of reach: the refresh token is the
//! connection's at once, the access token is held back until it is verified (OpenID Connect Core 1.0 section 12.2).

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::Unverified,
    random::RandomSource,
    refresh_state::{BackoffReason, RefreshState},
};
use hubkey_protocol::secret::RefreshToken;

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        tokens::{
            refresh::{
                attempt::Intent, backoff::Backoff, recovery::Recoveries, timing::RefreshTiming,
                write::RefreshWrites,
            },
            single_flight::RefreshResult,
        },
    },
};

/// Keeps what a refresh brought where it cannot be verified yet, or is of no use.
#[derive(Debug)]
pub(crate) struct UnverifiedRefreshes {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    backoff: Arc<Backoff>,
    recoveries: Arc<Recoveries>,
    writes: Arc<RefreshWrites>,
}

impl UnverifiedRefreshes {
    pub(crate) fn new(base: &Base, timing: &RefreshTiming, writes: &Arc<RefreshWrites>) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            backoff: Arc::clone(&timing.backoff),
            recoveries: Arc::clone(&timing.recoveries),
            writes: Arc::clone(writes),
        }
    }

    /// The answer was good, and nobody can say yet whether it is for this grant.
    pub(crate) async fn keep_unverified(
        &self,
        intent: Intent,
        (refresh_token, unverified): (Option<RefreshToken>, Unverified),
    ) -> RefreshResult {
        let mut connection = intent.connection;
        let grant = &mut connection.value.grant;
        grant.tokens.refresh_token = refresh_token.or(grant.tokens.refresh_token.take());
        connection.value.unverified = Some(unverified);
        connection.value.renewal =
            RefreshState::Idle.unverified_again(self.clock.now(), self.chance.spread());
        if let Some(result) = self
            .writes
            .write_or_hold(&connection, intent.replaced)
            .await
        {
            return result;
        }
        self.recoveries
            .note(&connection.value, &intent.before)
            .await;
        Event::for_connection(&connection.value)
            .reason("id_token_key_out_of_reach")
            .emit(EventKind::ProviderFailed);
        Err(self
            .backoff
            .failure(&connection.value.renewal, BackoffReason::Unavailable))
    }

    /// The answer was of no use but for the refresh token, which takes the place of the one that was sent.
    pub(crate) async fn keep_refresh_token(
        &self,
        intent: Intent,
        refresh_token: RefreshToken,
    ) -> RefreshResult {
        let mut connection = intent.connection;
        connection.value.grant.tokens.refresh_token = Some(refresh_token);
        connection.value.renewal =
            self.backoff
                .retry_later(&intent.before, BackoffReason::Misconfigured, None);
        if let Some(result) = self
            .writes
            .write_or_hold(&connection, intent.replaced)
            .await
        {
            return result;
        }
        Event::for_connection(&connection.value)
            .reason("answer_unusable")
            .emit(EventKind::ProviderFailed);
        Err(self
            .backoff
            .failure(&connection.value.renewal, BackoffReason::Misconfigured))
    }
}
