//! A kernel has its connection's token exchanged for one of another API, or of a provider behind this one (RFC 8693).
//! What is exchanged comes out of the store, never from the kernel.

use std::{sync::Arc, time::Duration};

use hubkey_protocol::{ConnectionId, ExchangeRequest, SignInCause, TokenAnswer};

use super::{
    Asker, Flows,
    failure::KernelFailure,
    flights::{Missed, TargetLanding},
    policy,
    target::{Aim, entry_of, missed, newer},
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::Connection,
        renewal::{Renewal, Trouble},
        target::{Entry, Target, TargetToken, Targets},
    },
    idp::{Exchange, ExchangeError, Exchanged, IdentityProvider},
    store::{
        Key,
        typed::{Found, TypedStore},
    },
};

impl Flows {
    /// A token that a connection's own was exchanged for, valid for at least as long as asked.
    pub async fn exchange(
        self: &Arc<Self>,
        asker: &Asker,
        id: &ConnectionId,
        request: &ExchangeRequest,
    ) -> Result<TokenAnswer, KernelFailure> {
        let kernel = self.known_kernel(asker).await?;
        let (connection, targets) = self.own_with_targets(&kernel, id).await?;
        let provider = self.provider(&connection.value.provider);
        let offer = &provider.ok_or(KernelFailure::NotFound)?.config().exchange;
        let target = policy::exchange_target(request, offer)?;
        let origins = offer.origins_of(&target);
        let aim = Aim {
            entry: entry_of(targets.as_ref(), &target),
            connection: connection.clone(),
        };
        let token = self.draw_target(aim, request.min_valid).await?;
        Event::of(&connection.value)
            .kernel(&kernel)
            .reason("exchange")
            .tell(What::TokenDelivered);
        Ok(token.answer(origins))
    }

    /// Exchanges, unless somebody was faster.
    pub(super) async fn fly_exchange(
        self: &Arc<Self>,
        id: &ConnectionId,
        (target, mark): (&Target, u64),
    ) -> TargetLanding {
        let keys = (Key::connection(id), Key::targets(id));
        let (found, targets): (Found<Connection>, Found<Targets>) =
            self.store.load_pair(&keys.0, &keys.1).await?;
        let found = self.flights.held(id).or(found).ok_or(Missed::Gone)?;
        let entry = entry_of(targets.as_ref(), target);
        if let Some(token) = newer(&entry, mark) {
            return Ok(token);
        }
        let provider = self.provider(&found.value.provider).map(Arc::clone);
        let provider = provider.ok_or(Missed::SignIn(SignInCause::AccessEnded))?;
        let subject = self.drawn(found, 0).await.map_err(missed)?;
        match self
            .exchanged(&provider, &subject.connection, &entry)
            .await?
        {
            Ok(exchanged) => Ok(self
                .keep_exchanged(&subject.connection, entry, exchanged)
                .await),
            Err(error) => self.miss_target(id, entry, trouble(error)).await,
        }
    }

    /// A token that its provider does not take any more, though it has not ended, is replaced once.
    async fn exchanged(
        self: &Arc<Self>,
        provider: &Arc<dyn IdentityProvider>,
        subject: &Arc<Connection>,
        entry: &Entry,
    ) -> Result<Result<Exchanged, ExchangeError>, Missed> {
        let result = provider.exchange(exchange(subject, &entry.target)).await;
        let replaceable = subject.grant.refresh_token.is_some() && entry.renewal == Renewal::Idle;
        if !replaceable || !matches!(result, Err(ExchangeError::SubjectRefused)) {
            return Ok(result);
        }
        let renewed = self.refresh(subject).await?;
        Ok(provider.exchange(exchange(&renewed, &entry.target)).await)
    }

    async fn keep_exchanged(
        &self,
        connection: &Connection,
        entry: Entry,
        exchanged: Exchanged,
    ) -> Arc<TargetToken> {
        let asked = entry.target.scopes.clone();
        let token = TargetToken {
            access_token: exchanged.access_token,
            obtained_at: exchanged.obtained_at,
            expires_at: exchanged.expires_at,
            scopes: exchanged.scopes.or(asked).unwrap_or_default(),
        };
        let entry = self.with_token(entry, token.clone());
        self.note_target(&connection.id, entry).await;
        Event::of(connection).tell(What::TokenExchanged);
        Arc::new(token)
    }
}

fn exchange<'a>(subject: &'a Connection, target: &'a Target) -> Exchange<'a> {
    Exchange {
        subject_token: &subject.grant.access_token,
        issuer: &subject.grant.issuer,
        audience: target.audience.as_deref(),
        resource: target.resource.as_deref(),
        scopes: target.scopes.as_ref(),
        requested_issuer: target.requested_issuer.as_deref(),
    }
}

fn trouble(error: ExchangeError) -> (Trouble, Option<Duration>) {
    match error {
        ExchangeError::Unavailable { retry_after } => (Trouble::Unavailable, retry_after),
        ExchangeError::Refused | ExchangeError::SubjectRefused => (Trouble::Refused, None),
        ExchangeError::Misconfigured => (Trouble::Misconfigured, None),
    }
}
