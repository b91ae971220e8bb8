//! A kernel gets an access token of a connection.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    random::RandomSource,
    refresh_state::{BackoffReason, TokenNeed},
};
use hubkey_protocol::{ProviderId, SignInCause};
use hubkey_store::typed::Loaded;
use tokio::time::timeout;

use crate::use_cases::{
    base::Base,
    connections::extend::Extension,
    failure::KernelFailure,
    rules::Rules,
    tokens::refresh::{Refresh, backoff::Backoff, refresher::Refresher},
};

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
    backoff: Arc<Backoff>,
    extension: Arc<Extension>,
    refresher: Arc<Refresher>,
}

impl ValidTokens {
    pub(crate) fn new(base: &Base, refresh: &Refresh) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
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

    /// The connection with a token that is valid for `min_valid` seconds, measured.
    pub(crate) async fn ensure_valid(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
    ) -> Result<ValidToken, KernelFailure> {
        let provider = connection.value.provider.clone();
        let valid_token = self.ensure_valid_unmeasured(connection, min_valid).await;
        let (source, outcome) = match &valid_token {
            Ok(valid_token) => (valid_token.source, "ok"),
            Err(failure) => ("refresh", outcome(failure)),
        };
        count(&provider, source, outcome);
        valid_token
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

pub(crate) fn count(provider: &ProviderId, source: &'static str, outcome: &'static str) {
    metrics::counter!(
        "hubkey_token_requests_total",
        "provider" => provider.as_str().to_owned(),
        "source" => source,
        "outcome" => outcome,
    )
    .increment(1);
}
