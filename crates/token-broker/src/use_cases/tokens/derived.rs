//! Tokens of a connection beside its own: kept under exactly what was asked for, and fetched once at a time. What goes
//! wrong with one of them is kept there too, and concerns no other.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    derived_token::{DerivedBy, DerivedTokenEntry, DerivedTokenKey, DerivedTokenSet},
    random::RandomSource,
    refresh_state::{BackoffReason, RefreshState, TokenNeed},
    rejection::{Rejection, Replacement},
    token_set::TokenSet,
};
use hubkey_protocol::{AccessTokenHash, ConnectionId, SignInCause};
use hubkey_store::typed::Loaded;
use tokio::time::timeout;

use crate::{
    limits::Pacer,
    use_cases::{
        base::Base,
        connections::extend::Extension,
        failure::KernelFailure,
        records::{Records, derived_tokens::DerivedTokenRecords},
        rules::Rules,
        tokens::{
            ensure_valid::{count, outcome},
            refresh::{Refresh, backoff::Backoff},
            single_flight::{DerivedTokenResult, RefreshFailure, SingleFlight},
        },
    },
};

/// Ways to tokens beside a connection's own that a hub user goes at once, and after that one in each interval.
const PER_USER: (u32, Duration) = (20, Duration::from_millis(200));
/// How long a provider is not asked again for what it refused.
const REFUSED_BACKOFF: Duration = Duration::from_secs(30);

/// Removes a flight from the list, however it ended.
struct FlightGuard {
    single_flight: Arc<SingleFlight>,
    to: (ConnectionId, DerivedTokenKey),
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        self.single_flight.end_derived(&self.to);
    }
}

/// A target of a connection.
pub(crate) struct DerivedTokenRequest {
    pub(crate) connection: Loaded<Connection>,
    pub(crate) entry: DerivedTokenEntry,
    /// The token that is said to be rejected, if one is.
    pub(crate) rejected: Option<AccessTokenHash>,
}

impl DerivedTokenRequest {
    /// Whether the very token that is known is said to be rejected.
    fn is_rejected(&self) -> bool {
        match (&self.rejected, &self.entry.token) {
            (Some(rejected), Some(token)) => rejected.is_of(&token.access_token),
            (None, _) | (_, None) => false,
        }
    }
}

/// Brings a token of this connection for this target, newer than the one with this mark.
pub(crate) type Fetch = Box<
    dyn FnOnce(ConnectionId, DerivedTokenKey, u64) -> BoxFuture<'static, DerivedTokenResult> + Send,
>;

/// Gives tokens beside a connection's own, fetched where that is needed.
#[derive(Debug)]
pub(crate) struct DerivedTokens {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    single_flight: Arc<SingleFlight>,
    pacer: Pacer<String>,
    backoff: Arc<Backoff>,
    derived: Arc<DerivedTokenRecords>,
    extension: Arc<Extension>,
}

impl DerivedTokens {
    pub(crate) fn new(base: &Base, records: &Records, refresh: &Refresh) -> Self {
        Self {
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            single_flight: Arc::clone(&base.single_flight),
            pacer: Pacer::new(PER_USER.0, PER_USER.1),
            backoff: Arc::clone(&refresh.backoff),
            derived: Arc::clone(&records.derived),
            extension: Arc::clone(&refresh.extension),
        }
    }

    /// A token for a target that is valid for `min_valid` seconds, measured.
    pub(crate) async fn ensure_valid(
        self: &Arc<Self>,
        request: DerivedTokenRequest,
        min_valid: u64,
        fetch: Fetch,
    ) -> Result<Arc<TokenSet>, KernelFailure> {
        let request = self.note_rejection(request).await?;
        let provider = request.connection.value.provider.clone();
        let way = match request.entry.target.way {
            DerivedBy::Refresh => "downscoped",
            DerivedBy::Exchange => "exchange",
        };
        let before = request.entry.mark;
        let valid_token = self
            .ensure_valid_unmeasured(request, min_valid, fetch)
            .await;
        match &valid_token {
            Ok((_, mark)) if *mark == Some(before) => count(&provider, "cache", "ok"),
            Ok(_) => count(&provider, way, "ok"),
            Err(failure) => count(&provider, way, outcome(failure)),
        }
        valid_token.map(|(token, _)| token)
    }

    /// Notes that the token is said to be rejected, so that nobody gets it any more.
    async fn note_rejection(
        &self,
        mut request: DerivedTokenRequest,
    ) -> Result<DerivedTokenRequest, KernelFailure> {
        if !request.is_rejected() {
            return Ok(request);
        }
        let entry = &mut request.entry;
        match Rejection::replacement(entry.rejection, entry.mark, self.clock.now()) {
            Replacement::TooSoon => return Err(KernelFailure::TokenRejected),
            Replacement::Noted => {}
            Replacement::Note(rejection) => {
                entry.rejection = Some(rejection);
                let id = &request.connection.value.id;
                self.derived.note(id, entry.clone()).await;
            }
        }
        Ok(request)
    }

    /// With the mark of the token if it was there already.
    async fn ensure_valid_unmeasured(
        self: &Arc<Self>,
        request: DerivedTokenRequest,
        min_valid: u64,
        fetch: Fetch,
    ) -> Result<(Arc<TokenSet>, Option<u64>), KernelFailure> {
        if request.connection.value.renewal == RefreshState::Ended {
            return Err(KernelFailure::SignInRequired(Some(
                SignInCause::AccessEnded,
            )));
        }
        let (need, mark) = (
            request
                .entry
                .need(self.clock.now(), min_valid, self.chance.spread()),
            request.entry.mark,
        );
        let usable = match need {
            TokenNeed::Nothing => true,
            TokenNeed::Refresh { usable } => usable,
            TokenNeed::TooLong(seconds) => {
                return Err(KernelFailure::TokenLifetimeTooShort(seconds));
            }
            TokenNeed::SignIn => {
                return Err(KernelFailure::SignInRequired(Some(
                    SignInCause::AccessEnded,
                )));
            }
        };
        let token = request.entry.token.clone().filter(|_| usable);
        let kept = token.map(|token| (Arc::new(token), Some(mark)));
        if need == TokenNeed::Nothing {
            self.extension.touch(&request.connection);
            return kept.ok_or(KernelFailure::RefreshInProgress);
        }
        match self.fetch_within(request, (min_valid, usable), fetch).await {
            Ok(token) => Ok((token, None)),
            Err(failure) if failure.ends_access() => Err(failure),
            Err(failure) => kept.ok_or(failure),
        }
    }

    async fn fetch_within(
        self: &Arc<Self>,
        request: DerivedTokenRequest,
        (min_valid, usable): (u64, bool),
        fetch: Fetch,
    ) -> Result<Arc<TokenSet>, KernelFailure> {
        if let Some((rest, trouble)) = request.entry.renewal.rest(self.clock.now()) {
            return Err(KernelFailure::Provider(trouble, rest));
        }
        let times = self.rules.renewal;
        let wait = if usable { times.patience } else { times.wait };
        let fetched = timeout(wait, self.fetch(request, fetch)).await;
        let token = fetched.map_err(|_| KernelFailure::RefreshInProgress)??;
        let (now, lifetime) = (self.clock.now(), token.lifetime());
        if lifetime.is_valid_for(now, min_valid.max(1)) {
            Ok(token)
        } else {
            Err(KernelFailure::TokenLifetimeTooShort(
                lifetime.seconds_left(now),
            ))
        }
    }

    /// A newer token than that of the request, by this process' one flight to it.
    async fn fetch(
        self: &Arc<Self>,
        request: DerivedTokenRequest,
        fetch: Fetch,
    ) -> DerivedTokenResult {
        let user = request.connection.value.kernel.user.as_str().to_owned();
        let to = (request.connection.value.id, request.entry.target);
        let mark = request.entry.mark;
        let begin = || {
            let guard = FlightGuard {
                single_flight: Arc::clone(&self.single_flight),
                to: to.clone(),
            };
            let this = Arc::clone(self);
            async move {
                let turn = this.pacer.wait(&user);
                timeout(this.rules.renewal.wait, turn)
                    .await
                    .map_err(|_| RefreshFailure::InProgress)?;
                let (id, target) = guard.to.clone();
                fetch(id, target, mark).await
            }
            .boxed()
        };
        self.single_flight.join_derived(&to, begin).await
    }

    /// What is known about a target, after its token changed.
    pub(crate) fn with_token(
        &self,
        entry: DerivedTokenEntry,
        token: TokenSet,
    ) -> DerivedTokenEntry {
        DerivedTokenEntry {
            token: Some(token),
            mark: self.chance.number(),
            renewal: RefreshState::Idle,
            ..entry
        }
    }

    /// There is no token for this target, and it is not asked for again at once.
    pub(crate) async fn record_failure(
        &self,
        id: &ConnectionId,
        entry: DerivedTokenEntry,
        (trouble, asked): (BackoffReason, Option<Duration>),
    ) -> DerivedTokenResult {
        let asked = match trouble {
            BackoffReason::Refused => Some(REFUSED_BACKOFF),
            BackoffReason::Unavailable | BackoffReason::Misconfigured => asked,
        };
        let renewal = self.backoff.retry_later(&entry.renewal, trouble, asked);
        let failure = self.backoff.failure(&renewal, trouble);
        self.derived
            .note(id, DerivedTokenEntry { renewal, ..entry })
            .await;
        Err(failure)
    }
}

/// What is known about a target.
pub(crate) fn entry_of(
    targets: Option<&Loaded<DerivedTokenSet>>,
    target: &DerivedTokenKey,
) -> DerivedTokenEntry {
    let known = targets.and_then(|targets| targets.value.get(target));
    known
        .cloned()
        .unwrap_or_else(|| DerivedTokenEntry::new(target.clone()))
}

/// The token that came since a mark was seen.
pub(crate) fn newer(entry: &DerivedTokenEntry, mark: u64) -> Option<Arc<TokenSet>> {
    let token = entry.token.clone().filter(|_| entry.mark != mark);
    token.map(Arc::new)
}

/// Why there is no token to exchange.
pub(crate) fn refresh_failure(failure: KernelFailure) -> RefreshFailure {
    match failure {
        KernelFailure::SignInRequired(cause) => {
            RefreshFailure::SignIn(cause.unwrap_or(SignInCause::AccessEnded))
        }
        KernelFailure::NotFound => RefreshFailure::Gone,
        KernelFailure::Provider(trouble, rest) => RefreshFailure::Provider(trouble, rest),
        KernelFailure::Store(error) => error.into(),
        KernelFailure::Kernel(_)
        | KernelFailure::NotTheHub
        | KernelFailure::Policy { .. }
        | KernelFailure::AlreadyDelivered
        | KernelFailure::Superseded
        | KernelFailure::TokenLifetimeTooShort(_)
        | KernelFailure::TokenRejected
        | KernelFailure::RefreshInProgress
        | KernelFailure::Userinfo(_)
        | KernelFailure::TooMany(_)
        | KernelFailure::Overloaded
        | KernelFailure::KeyReused
        | KernelFailure::Contended => RefreshFailure::InProgress,
    }
}
