//! A kernel gets an access token of a connection.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    random::RandomSource,
    refresh_state::{BackoffReason, TokenNeed},
    rejection::{Rejection, Replacement},
};
use hubkey_protocol::{ProviderId, SignInCause, TokenRequest};
use hubkey_store::{Outcome, typed::Loaded};
use tokio::time::timeout;

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        connections::extend::Extension,
        failure::KernelFailure,
        records::{Records, connections::ConnectionRecords},
        rules::Rules,
        tokens::refresh::{Refresh, backoff::Backoff, refresher::Refresher},
    },
};

/// How often it is tried to note that a token was rejected, against others who change the record.
const MAX_ATTEMPTS: usize = 8;

/// A connection whose last token ends sooner is not worth handing out.
const MIN_USABLE_SECONDS: u64 = 10;

/// A connection whose token is as a kernel wants it.
pub(crate) struct ValidToken {
    pub(crate) connection: Arc<Connection>,
    source: &'static str,
}

/// Gives a connection's own token, refreshed where that is needed.
#[derive(Debug)]
pub(crate) struct ValidTokens {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    connections: Arc<ConnectionRecords>,
    backoff: Arc<Backoff>,
    extension: Arc<Extension>,
    refresher: Arc<Refresher>,
}

impl ValidTokens {
    pub(crate) fn new(base: &Base, records: &Records, refresh: &Refresh) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            connections: Arc::clone(&records.connections),
            backoff: Arc::clone(&refresh.backoff),
            extension: Arc::clone(&refresh.extension),
            refresher: Arc::clone(&refresh.refresher),
        }
    }

    /// The connection with a token that is worth handing out, or why a person should sign in. A failure only where it is
    /// worth waiting a moment.
    pub(crate) async fn ensure_usable(
        self: &Arc<Self>,
        found: Loaded<Connection>,
    ) -> Result<Result<Arc<Connection>, SignInCause>, KernelFailure> {
        let min_valid = min_usable_seconds(&found.value);
        match self.ensure_valid(found, min_valid).await {
            Ok(valid_token) => Ok(Ok(valid_token.connection)),
            Err(failure) => failure.sign_in_cause().map(Err).ok_or(failure),
        }
    }

    /// What a kernel asks for of a connection's own token: for so long, and another one than was rejected.
    pub(crate) async fn requested(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        request: &TokenRequest,
    ) -> Result<ValidToken, KernelFailure> {
        let own = &connection.value.grant.tokens.access_token;
        let rejected = request.rejected_ath.as_ref();
        if rejected.is_some_and(|rejected| rejected.is_of(own)) {
            let connection = self.note_rejection(connection).await?;
            return self
                .ensure_another(connection, request.min_valid_seconds)
                .await;
        }
        self.ensure_valid(connection, request.min_valid_seconds)
            .await
    }

    /// The connection with another token, measured.
    async fn ensure_another(
        self: &Arc<Self>,
        rejected: Loaded<Connection>,
        min_valid: u64,
    ) -> Result<ValidToken, KernelFailure> {
        let provider = rejected.value.provider.clone();
        let another = match rejected.value.grant.tokens.refresh_token {
            Some(_) => Box::pin(self.refresh_and_check(rejected, min_valid, false)).await,
            None => Err(KernelFailure::SignInRequired(Some(
                SignInCause::AccessEnded,
            ))),
        };
        measured(&provider, another)
    }

    /// Notes that the connection's token is said to be rejected, so that nobody gets it any more. Where its refresh token is
    /// being used, the record is left as whoever uses it has to find it: another token is on its way.
    async fn note_rejection(
        &self,
        mut connection: Loaded<Connection>,
    ) -> Result<Loaded<Connection>, KernelFailure> {
        let (id, serial) = (connection.value.id.clone(), connection.value.grant.serial);
        for _ in 0..MAX_ATTEMPTS {
            if connection.value.grant.serial != serial {
                return Ok(connection);
            }
            match Rejection::replacement(connection.value.rejection, serial, self.clock.now()) {
                Replacement::TooSoon => return Err(KernelFailure::TokenRejected),
                Replacement::Noted => return Ok(connection),
                Replacement::Note(_) if !self.connections.is_refresh_idle(&connection.value) => {
                    return Ok(connection);
                }
                Replacement::Note(rejection) => connection.value.rejection = Some(rejection),
            }
            let put = self.connections.put(&connection).map(|put| vec![put]);
            if self.connections.commit(put).await? == Outcome::Done {
                Event::for_connection(&connection.value).emit(EventKind::TokenRejected);
            }
            let newest = self.connections.load_newest(&id).await?;
            connection = newest.ok_or(KernelFailure::NotFound)?;
        }
        Err(KernelFailure::Contended)
    }

    /// The connection with a token that is valid for `min_valid` seconds, measured.
    pub(crate) async fn ensure_valid(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
    ) -> Result<ValidToken, KernelFailure> {
        let provider = connection.value.provider.clone();
        let valid_token = self.ensure_valid_unmeasured(connection, min_valid).await;
        measured(&provider, valid_token)
    }

    /// The same, unmeasured.
    pub(crate) async fn ensure_valid_unmeasured(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
    ) -> Result<ValidToken, KernelFailure> {
        let now = self.clock.now();
        match connection.value.need(now, min_valid, self.chance.spread()) {
            TokenNeed::Nothing => {
                self.extension.touch(&connection);
                Ok(cached(connection))
            }
            TokenNeed::Refresh { usable } => {
                Box::pin(self.refresh_and_check(connection, min_valid, usable)).await
            }
            TokenNeed::TooLong(seconds) => Err(KernelFailure::TokenLifetimeTooShort(seconds)),
            TokenNeed::SignIn => Err(KernelFailure::SignInRequired(Some(
                SignInCause::AccessEnded,
            ))),
        }
    }

    /// After a refresh. A token that is there and would do is good enough if the refresh fails or takes long.
    async fn refresh_and_check(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
        usable: bool,
    ) -> Result<ValidToken, KernelFailure> {
        if let Some(failure) = self.backoff.not_before(&connection.value.renewal) {
            if usable {
                return Ok(cached(connection));
            }
            return Err(failure.into());
        }
        let times = self.rules.renewal;
        let wait = if usable { times.patience } else { times.wait };
        match timeout(wait, self.refresher.refresh(&connection.value)).await {
            Ok(Ok(refreshed)) => self.check_lifetime(refreshed, min_valid),
            Ok(Err(failure)) => match KernelFailure::from(failure) {
                failure if failure.ends_access() => Err(failure),
                _ if usable => Ok(cached(connection)),
                failure => Err(failure),
            },
            Err(_) if usable => Ok(cached(connection)),
            Err(_) => Err(KernelFailure::RefreshInProgress),
        }
    }

    /// A new token may be shorter than the one before.
    fn check_lifetime(
        &self,
        refreshed: Arc<Connection>,
        min_valid: u64,
    ) -> Result<ValidToken, KernelFailure> {
        let now = self.clock.now();
        if refreshed.is_valid_for(now, min_valid.max(1)) {
            return Ok(ValidToken {
                connection: refreshed,
                source: "refresh",
            });
        }
        let left = refreshed.grant.seconds_left(now);
        Err(KernelFailure::TokenLifetimeTooShort(left))
    }
}

/// How long a connection's token has to be valid to be handed out.
fn min_usable_seconds(connection: &Connection) -> u64 {
    match connection.grant.tokens.refresh_token {
        Some(_) => 1,
        None => MIN_USABLE_SECONDS,
    }
}

fn cached(connection: Loaded<Connection>) -> ValidToken {
    ValidToken {
        connection: Arc::new(connection.value),
        source: "cache",
    }
}

pub(crate) fn outcome(failure: &KernelFailure) -> &'static str {
    match failure {
        KernelFailure::SignInRequired(_) => "sign_in_required",
        KernelFailure::TokenLifetimeTooShort(_) => "lifetime_too_short",
        KernelFailure::TokenRejected => "token_rejected",
        KernelFailure::RefreshInProgress => "refresh_in_progress",
        KernelFailure::Provider(BackoffReason::Unavailable, _) => "provider_unavailable",
        KernelFailure::Provider(BackoffReason::Misconfigured, _) => "provider_misconfigured",
        KernelFailure::Provider(BackoffReason::Refused, _) => "refused",
        KernelFailure::Kernel(_)
        | KernelFailure::NotTheHub
        | KernelFailure::Store(_)
        | KernelFailure::Policy { .. }
        | KernelFailure::NotFound
        | KernelFailure::AlreadyDelivered
        | KernelFailure::Superseded
        | KernelFailure::Userinfo(_)
        | KernelFailure::TooMany(_)
        | KernelFailure::Overloaded
        | KernelFailure::KeyReused
        | KernelFailure::Contended => "failed",
    }
}

fn measured(
    provider: &ProviderId,
    valid_token: Result<ValidToken, KernelFailure>,
) -> Result<ValidToken, KernelFailure> {
    let (source, outcome) = match &valid_token {
        Ok(valid_token) => (valid_token.source, "ok"),
        Err(failure) => ("refresh", outcome(failure)),
    };
    count(provider, source, outcome);
    valid_token
}

pub(crate) fn count(provider: &ProviderId, source: &'static str, outcome: &'static str) {
    metrics::counter!(
        "hubkey_token_requests_total",
        "provider" => provider.as_str().to_owned(),
        "source" => source,
        "outcome" => outcome,
    )
    .increment(1);
}
