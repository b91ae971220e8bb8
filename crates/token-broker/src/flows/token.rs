//! A kernel draws an access token from a connection.

use std::sync::Arc;

use hubkey_protocol::{ConnectionId, ProviderId, SignInCause, TokenAnswer, TokenRequest};
use tokio::time::timeout;

use super::{Asker, Flows, failure::KernelFailure};
use crate::{
    audit::{Event, What},
    domain::{
        connection::Connection,
        kernel::Kernel,
        renewal::{Need, Trouble},
    },
    store::{
        Key, StoreError,
        typed::{Loaded, TypedStore},
    },
};

/// A connection whose token is as a kernel wants it.
pub(super) struct Drawn {
    pub(super) connection: Arc<Connection>,
    source: &'static str,
}

impl Flows {
    /// An access token of a connection of this very server token, valid for at least as long as asked; refreshed where
    /// that is needed.
    pub async fn token(
        self: &Arc<Self>,
        asker: &Asker,
        id: &ConnectionId,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, KernelFailure> {
        let kernel = self.known_kernel(asker).await?;
        if request.scopes.is_some() || request.audience.is_some() || request.resource.is_some() {
            return Box::pin(self.scoped_token(&kernel, id, request)).await;
        }
        let connection = self.own_connection(&kernel, id).await?;
        let drawn = self.draw(connection, request.min_valid).await?;
        Event::of(&drawn.connection)
            .kernel(&kernel)
            .tell(What::TokenDelivered);
        Ok(drawn.connection.token())
    }

    /// A connection of this very server token.
    pub(super) async fn own_connection(
        &self,
        kernel: &Kernel,
        id: &ConnectionId,
    ) -> Result<Loaded<Connection>, KernelFailure> {
        let found = self.newest(id).await?;
        found
            .filter(|loaded| loaded.value.is_of(kernel))
            .ok_or(KernelFailure::NotFound)
    }

    /// The connection as it is known here at last: what a refresh brought may not be stored yet.
    pub(super) async fn newest(
        &self,
        id: &ConnectionId,
    ) -> Result<Option<Loaded<Connection>>, StoreError> {
        match self.flights.held(id) {
            Some(held) => Ok(Some(held)),
            None => self.store.load(&Key::connection(id)).await,
        }
    }

    /// The connection with a token that is valid for `min_valid` seconds, measured.
    pub(super) async fn draw(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
    ) -> Result<Drawn, KernelFailure> {
        let provider = connection.value.provider.clone();
        let drawn = self.drawn(connection, min_valid).await;
        let (source, outcome) = match &drawn {
            Ok(drawn) => (drawn.source, "ok"),
            Err(failure) => ("refresh", outcome(failure)),
        };
        count(&provider, source, outcome);
        drawn
    }

    /// The same, unmeasured.
    pub(super) async fn drawn(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
    ) -> Result<Drawn, KernelFailure> {
        let now = self.clock.now();
        match connection.value.need(now, min_valid, self.spread()) {
            Need::Nothing => {
                self.extend(&connection);
                Ok(cached(connection))
            }
            Need::Refresh { usable } => Box::pin(self.renewed(connection, min_valid, usable)).await,
            Need::TooLong(seconds) => Err(KernelFailure::TokenTooShort(seconds)),
            Need::SignIn => Err(KernelFailure::SignInRequired(Some(
                SignInCause::AccessEnded,
            ))),
        }
    }

    /// After a refresh. A token that is there and would do is good enough if the refresh fails or takes long.
    async fn renewed(
        self: &Arc<Self>,
        connection: Loaded<Connection>,
        min_valid: u64,
        usable: bool,
    ) -> Result<Drawn, KernelFailure> {
        if let Some(missed) = self.resting(&connection.value.renewal) {
            if usable {
                return Ok(cached(connection));
            }
            return Err(missed.into());
        }
        let times = self.rules.renewal;
        let patience = if usable { times.patience } else { times.wait };
        match timeout(patience, self.refresh(&connection.value)).await {
            Ok(Ok(refreshed)) => self.enough(refreshed, min_valid),
            Ok(Err(missed)) => match KernelFailure::from(missed) {
                failure if failure.says_it_is_over() => Err(failure),
                _ if usable => Ok(cached(connection)),
                failure => Err(failure),
            },
            Err(_) if usable => Ok(cached(connection)),
            Err(_) => Err(KernelFailure::RefreshInProgress),
        }
    }

    /// A new token may be shorter than the one before.
    fn enough(&self, refreshed: Arc<Connection>, min_valid: u64) -> Result<Drawn, KernelFailure> {
        let now = self.clock.now();
        if refreshed.is_valid_for(now, min_valid.max(1)) {
            return Ok(Drawn {
                connection: refreshed,
                source: "refresh",
            });
        }
        let left = refreshed.grant.seconds_left(now);
        Err(KernelFailure::TokenTooShort(left))
    }

    /// About 1, up to a tenth off either way.
    pub(super) fn spread(&self) -> f64 {
        0.9 + 0.2 * self.chance.fraction()
    }
}

fn cached(connection: Loaded<Connection>) -> Drawn {
    Drawn {
        connection: Arc::new(connection.value),
        source: "cache",
    }
}

pub(super) fn outcome(failure: &KernelFailure) -> &'static str {
    match failure {
        KernelFailure::SignInRequired(_) => "sign_in_required",
        KernelFailure::TokenTooShort(_) => "too_short",
        KernelFailure::RefreshInProgress => "in_progress",
        KernelFailure::Provider(Trouble::Unavailable, _) => "provider_unavailable",
        KernelFailure::Provider(Trouble::Misconfigured, _) => "provider_misconfigured",
        KernelFailure::Provider(Trouble::Refused, _) => "refused",
        _ => "failed",
    }
}

pub(super) fn count(provider: &ProviderId, source: &'static str, outcome: &'static str) {
    metrics::counter!(
        "hubkey_token_requests_total",
        "provider" => provider.as_str().to_owned(),
        "source" => source,
        "outcome" => outcome,
    )
    .increment(1);
}
