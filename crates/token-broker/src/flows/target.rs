//! Tokens of a connection beside its own: kept under exactly what was asked for, and fetched once at a time. What goes
//! wrong with one of them is kept there too, and concerns no other.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use hubkey_protocol::{ConnectionId, SignInCause, secret::AccessToken};
use tokio::time::timeout;

use super::{
    Flows,
    failure::KernelFailure,
    flights::{Missed, TargetLanding},
    giving_back::Extent,
    token::{count, outcome},
};
use crate::{
    domain::{
        connection::Connection,
        kernel::Kernel,
        renewal::{Need, Renewal, Trouble},
        target::{Entry, Target, TargetToken, Targets, Way},
    },
    store::{
        Change, Key, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// How long a provider is not asked again for what it refused.
const REFUSED_REST: Duration = Duration::from_secs(30);
/// How long the record lives at least.
const SHORTEST_LIFE: Duration = Duration::from_mins(1);
/// How often a write is tried against others of the same connection.
const TRIES: usize = 8;

/// Takes a flight off the list, however it ended.
struct Leaving {
    flows: Arc<Flows>,
    to: (ConnectionId, Target),
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.flows.flights.leave_target(&self.to);
    }
}

/// A target of a connection.
pub(super) struct Aim {
    pub(super) connection: Loaded<Connection>,
    pub(super) entry: Entry,
}

impl Flows {
    /// A connection of this very server token, and its tokens beside its own.
    pub(super) async fn own_with_targets(
        &self,
        kernel: &Kernel,
        id: &ConnectionId,
    ) -> Result<(Loaded<Connection>, Found<Targets>), KernelFailure> {
        let keys = (Key::connection(id), Key::targets(id));
        let (found, targets) = self.store.load_pair(&keys.0, &keys.1).await?;
        let found: Found<Connection> = self.flights.held(id).or(found);
        let found = found.filter(|found| found.value.is_of(kernel));
        Ok((found.ok_or(KernelFailure::NotFound)?, targets))
    }

    /// A token for a target that is valid for `min_valid` seconds, measured.
    pub(super) async fn draw_target(
        self: &Arc<Self>,
        aim: Aim,
        min_valid: u64,
    ) -> Result<Arc<TargetToken>, KernelFailure> {
        let provider = aim.connection.value.provider.clone();
        let way = match aim.entry.target.way {
            Way::Refresh => "scoped",
            Way::Exchange => "exchange",
        };
        let before = aim.entry.mark;
        let drawn = self.drawn_target(aim, min_valid).await;
        match &drawn {
            Ok((_, mark)) if *mark == Some(before) => count(&provider, "cache", "ok"),
            Ok(_) => count(&provider, way, "ok"),
            Err(failure) => count(&provider, way, outcome(failure)),
        }
        drawn.map(|(token, _)| token)
    }

    /// With the mark of the token if it was there already.
    async fn drawn_target(
        self: &Arc<Self>,
        aim: Aim,
        min_valid: u64,
    ) -> Result<(Arc<TargetToken>, Option<u64>), KernelFailure> {
        if aim.connection.value.renewal == Renewal::Ended {
            return Err(KernelFailure::SignInRequired(Some(
                SignInCause::AccessEnded,
            )));
        }
        let (need, mark) = (
            aim.entry.need(self.clock.now(), min_valid, self.spread()),
            aim.entry.mark,
        );
        let usable = match need {
            Need::Nothing => true,
            Need::Refresh { usable } => usable,
            Need::TooLong(seconds) => return Err(KernelFailure::TokenTooShort(seconds)),
            Need::SignIn => {
                return Err(KernelFailure::SignInRequired(Some(
                    SignInCause::AccessEnded,
                )));
            }
        };
        let token = aim.entry.token.clone().filter(|_| usable);
        let kept = token.map(|token| (Arc::new(token), Some(mark)));
        if need == Need::Nothing {
            self.extend(&aim.connection);
            return kept.ok_or(KernelFailure::RefreshInProgress);
        }
        match self.fetched(aim, min_valid, usable).await {
            Ok(token) => Ok((token, None)),
            Err(failure) if failure.says_it_is_over() => Err(failure),
            Err(failure) => kept.ok_or(failure),
        }
    }

    async fn fetched(
        self: &Arc<Self>,
        aim: Aim,
        min_valid: u64,
        usable: bool,
    ) -> Result<Arc<TargetToken>, KernelFailure> {
        if let Some((rest, trouble)) = aim.entry.renewal.rest(self.clock.now()) {
            return Err(KernelFailure::Provider(trouble, rest));
        }
        let times = self.rules.renewal;
        let patience = if usable { times.patience } else { times.wait };
        let fetched = timeout(patience, self.fetch(aim)).await;
        let token = fetched.map_err(|_| KernelFailure::RefreshInProgress)??;
        let (now, lifetime) = (self.clock.now(), token.lifetime());
        if lifetime.is_valid_for(now, min_valid.max(1)) {
            Ok(token)
        } else {
            Err(KernelFailure::TokenTooShort(lifetime.seconds_left(now)))
        }
    }

    /// A newer token than that of the aim, by this process' one flight to it.
    async fn fetch(self: &Arc<Self>, aim: Aim) -> TargetLanding {
        let user = aim.connection.value.kernel.user.as_str().to_owned();
        let to = (aim.connection.value.id, aim.entry.target);
        let mark = aim.entry.mark;
        let begin = || {
            let leaving = Leaving {
                flows: Arc::clone(self),
                to: to.clone(),
            };
            async move {
                let (flows, (id, target)) = (&leaving.flows, &leaving.to);
                let turn = flows.limits.targets.turn(&user);
                timeout(flows.rules.renewal.wait, turn)
                    .await
                    .map_err(|_| Missed::InProgress)?;
                match target.way {
                    Way::Refresh => Box::pin(flows.fly_scoped(id, (target, mark))).await,
                    Way::Exchange => Box::pin(flows.fly_exchange(id, (target, mark))).await,
                }
            }
            .boxed()
        };
        self.flights.join_target(&to, begin).await
    }

    /// What is known about a target, after its token changed.
    pub(super) fn with_token(&self, entry: Entry, token: TargetToken) -> Entry {
        Entry {
            token: Some(token),
            mark: self.chance.number(),
            renewal: Renewal::Idle,
            ..entry
        }
    }

    /// There is no token for this target, and it is not asked for again at once.
    pub(super) async fn miss_target(
        &self,
        id: &ConnectionId,
        entry: Entry,
        (trouble, asked): (Trouble, Option<Duration>),
    ) -> TargetLanding {
        let asked = match trouble {
            Trouble::Refused => Some(REFUSED_REST),
            Trouble::Unavailable | Trouble::Misconfigured => asked,
        };
        let renewal = self.rest_again(&entry.renewal, trouble, asked);
        let missed = self.trouble(&renewal, trouble);
        self.note_target(id, Entry { renewal, ..entry }).await;
        Err(missed)
    }

    /// Keeps what is known about a target. If that fails, it is asked for again.
    pub(super) async fn note_target(&self, id: &ConnectionId, entry: Entry) {
        let put = |found| self.put_targets(id, found, entry.clone());
        if let Err(error) = self.store.amend(&Key::targets(id), TRIES, put).await {
            tracing::warn!(%error, "a token beside a connection's own could not be kept");
        }
    }

    /// The change that writes what is known about one target beside what was found.
    pub(super) fn put_targets(
        &self,
        id: &ConnectionId,
        found: Found<Targets>,
        entry: Entry,
    ) -> Result<Change, StoreError> {
        let now = self.clock.now();
        let (mut targets, expect) = Loaded::or_new(found);
        targets.put(entry, now);
        let life = targets.end().map_or(SHORTEST_LIFE, |end| now.until(end));
        Change::put(Key::targets(id), expect, &targets, life.max(SHORTEST_LIFE))
    }

    /// Forgets the tokens beside a connection's own, and says which are to be revoked. Those of a provider behind it are never
    /// shown to it.
    pub(super) async fn forget_targets(
        &self,
        id: &ConnectionId,
        extent: Extent,
    ) -> Vec<AccessToken> {
        let found: Result<Found<Targets>, _> = self.store.load(&Key::targets(id)).await;
        let Ok(Some(found)) = found else {
            return Vec::new();
        };
        let delete = Change::delete(Key::targets(id), found.generation);
        if self.store.commit(vec![delete]).await.is_err() {
            tracing::warn!("tokens of an ended connection stay sealed in the store until they end");
        }
        let own = found.value.iter().filter(|entry| match extent {
            Extent::Grant => entry.target.requested_issuer.is_none(),
            Extent::AccessTokens => entry.target.way == Way::Refresh,
        });
        let tokens = own.filter_map(|entry| entry.token.as_ref());
        tokens.map(|token| token.access_token.clone()).collect()
    }
}

/// What is known about a target.
pub(super) fn entry_of(targets: Option<&Loaded<Targets>>, target: &Target) -> Entry {
    let known = targets.and_then(|targets| targets.value.get(target));
    known.cloned().unwrap_or_else(|| Entry::new(target.clone()))
}

/// The token that came since a mark was seen.
pub(super) fn newer(entry: &Entry, mark: u64) -> Option<Arc<TargetToken>> {
    let token = entry.token.clone().filter(|_| entry.mark != mark);
    token.map(Arc::new)
}

/// Why there is no token to exchange.
pub(super) fn missed(failure: KernelFailure) -> Missed {
    match failure {
        KernelFailure::SignInRequired(cause) => {
            Missed::SignIn(cause.unwrap_or(SignInCause::AccessEnded))
        }
        KernelFailure::NotFound => Missed::Gone,
        KernelFailure::Provider(trouble, rest) => Missed::Provider(trouble, rest),
        KernelFailure::Store(error) => error.into(),
        _ => Missed::InProgress,
    }
}
