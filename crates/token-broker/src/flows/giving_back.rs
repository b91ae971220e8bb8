//! The tokens of what has ended go back to their provider (RFC 7009), as far as no other connection rests on them.
//!
//! At a provider with sessions (`sid`) all sign-ins of one client in one session may be one grant: with one refresh token
//! all others end. So only the last connection of a session gives its refresh token back (ADR 43). Whoever asks what is
//! left has deleted its own record before; of several that end at once the last one to delete finds nothing, and at least
//! one gives the grant back.

use std::sync::Arc;

use futures_util::future::join_all;
use hubkey_protocol::{ConnectionId, Nonce, ProviderId, secret::AccessToken};

use super::Flows;
use crate::{
    domain::{
        connection::{Connection, Grant},
        login::{Login, LoginIndex},
        renewal::Renewal,
        sign_in::SignInState,
    },
    idp::IdentityProvider,
    store::{
        Change, Key, Outcome, StoreError,
        typed::{Found, TypedStore},
    },
};

/// How often a list of a session's connections is tried to be shortened against concurrent changes.
const TRIES: usize = 8;

/// What a provider is told to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of a grant.
    Grant,
    /// Only access tokens that came straight from the grant: others still rest on it. The end of an exchanged token may be
    /// the end of the session that it came of (seen at Keycloak).
    AccessTokens,
}

impl Flows {
    /// Gives an ended connection's tokens back, and forgets those beside its own.
    pub(super) async fn give_back(&self, connection: Connection) {
        let extent = self
            .extent(&connection.provider, &connection.id, &connection.grant)
            .await;
        self.let_go_of(connection, extent).await;
    }

    /// As [`Self::give_back`], of a connection whose session has ended at the provider: nothing rests on it any more.
    pub(super) async fn give_back_whole(&self, connection: Connection) {
        self.let_go_of(connection, Extent::Grant).await;
    }

    /// Gives back a grant that is no connection's any more, or never was one's.
    pub(super) async fn give_back_grant(
        &self,
        provider: &ProviderId,
        id: &ConnectionId,
        grant: Grant,
    ) {
        let extent = self.extent(provider, id, &grant).await;
        self.tell_provider(provider, grant, (extent, Vec::new()));
    }

    /// Nobody waits for it.
    pub(super) fn revoke_later(
        &self,
        provider: Arc<dyn IdentityProvider>,
        access_token: AccessToken,
    ) {
        self.flights.spawn(async move {
            provider.revoke(&access_token, None).await;
        });
    }

    async fn let_go_of(&self, connection: Connection, extent: Extent) {
        let beside = self.forget_targets(&connection.id, extent).await;
        self.tell_provider(&connection.provider, connection.grant, (extent, beside));
    }

    /// Of the grant, then of the tokens beside its own: where an exchanged token goes first, the provider may not know the
    /// grant any more, and leave its session (seen at Keycloak). Nothing, where the provider is not configured any more.
    fn tell_provider(
        &self,
        provider: &ProviderId,
        grant: Grant,
        (extent, beside): (Extent, Vec<AccessToken>),
    ) {
        let Some(provider) = self.provider(provider).map(Arc::clone) else {
            return;
        };
        let refresh_token = grant.refresh_token.filter(|_| extent == Extent::Grant);
        self.flights.spawn(async move {
            provider
                .revoke(&grant.access_token, refresh_token.as_ref())
                .await;
            let told = beside.iter().map(|token| provider.revoke(token, None));
            join_all(told).await;
        });
    }

    /// How much of the grant goes back. All of it where nobody can say: better that a person signs in again than that a
    /// grant stays behind.
    async fn extent(&self, provider: &ProviderId, id: &ConnectionId, grant: &Grant) -> Extent {
        match self.is_left_to_others(provider, id, grant).await {
            Ok(true) => Extent::AccessTokens,
            Ok(false) => Extent::Grant,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "what else rests on an ended connection's grant is not known; the grant is revoked"
                );
                Extent::Grant
            }
        }
    }

    async fn is_left_to_others(
        &self,
        provider: &ProviderId,
        id: &ConnectionId,
        grant: &Grant,
    ) -> Result<bool, StoreError> {
        let (Some(provider), Some(session)) = (self.provider(provider), &grant.proof.session)
        else {
            return Ok(false);
        };
        let key = Key::logins_of_session(&grant.issuer, session);
        let others = self.leave_session(&key, id).await?;
        for login in others.iter().rev() {
            if self.is_of(login, provider) && self.rests_on(login, grant).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a connection off its session's list. The others: hints, their records are the truth.
    async fn leave_session(&self, key: &Key, id: &ConnectionId) -> Result<Vec<Login>, StoreError> {
        let mut others = Vec::new();
        for _ in 0..TRIES {
            let found: Found<LoginIndex> = self.store.load(key).await?;
            let Some(mut found) = found else {
                return Ok(Vec::new());
            };
            let now = self.clock.now();
            found.value.leave(id, now);
            let change = if found.value.logins.is_empty() {
                Change::delete(key.clone(), found.generation)
            } else {
                let life = now.until(found.value.ends_at(now));
                Change::put(key.clone(), found.expect(), &found.value, life)?
            };
            others = found.value.logins;
            if self.store.commit(vec![change]).await? == Outcome::Done {
                break;
            }
        }
        Ok(others)
    }

    /// Whether what this entry names is there, and will give back what it has in common with the grant.
    async fn rests_on(&self, login: &Login, grant: &Grant) -> Result<bool, StoreError> {
        if let Some(nonce) = &login.waiting
            && self.waits_with(nonce, grant).await?
        {
            return Ok(true);
        }
        // After the sign-in, which may have become it meanwhile.
        let key = Key::connection(&login.connection);
        let found: Found<Connection> = self.store.load(&key).await?;
        let found = found.map(|found| found.value);
        Ok(found.is_some_and(|other| {
            other.renewal != Renewal::Ended && other.grant.stands_and_falls_with(grant)
        }))
    }

    async fn waits_with(&self, nonce: &Nonce, grant: &Grant) -> Result<bool, StoreError> {
        let found = self.open_sign_in(nonce).await?;
        let state = found.map(|found| found.value.state);
        Ok(matches!(
            state,
            Some(SignInState::Confirming { candidate, .. })
                if candidate.grant.stands_and_falls_with(grant)
        ))
    }
}
