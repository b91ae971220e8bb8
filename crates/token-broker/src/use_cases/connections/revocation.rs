//! Revokes the tokens of what has ended (RFC 7009), as far as no other connection uses them.
//!
//! At a provider with sessions (`sid`) all sign-ins of one client in one session may be one grant: with one refresh token
//! all others end. So only with the last connection of a session its refresh token is revoked (ADR 43). Whoever asks what
//! is left has deleted its own record before; of several that end at once the last one to delete finds nothing, and at least
//! one revokes the grant.

use std::sync::Arc;

use futures_util::future::join_all;
use hubkey_domain::{
    clock::Clock,
    connection::{Connection, Grant},
    provider_session::{ProviderSession, ProviderSessionIndex},
    refresh_state::RefreshState,
    sign_in::SignInState,
};
use hubkey_oidc::{IdentityProvider, RevocationOutcome};
use hubkey_protocol::{ConnectionId, Nonce, ProviderId, secret::AccessToken};
use hubkey_store::{
    Change, Key, Outcome, Store, StoreError,
    typed::{Found, TypedStore},
};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        providers::Providers,
        records::{
            Records,
            derived_tokens::{DerivedTokenRecords, RevocationScope},
            sign_ins::SignInRecords,
        },
        tokens::single_flight::SingleFlight,
    },
};

/// How often a list of a session's connections is tried to be shortened against concurrent changes.
const MAX_ATTEMPTS: usize = 8;

/// Revokes the tokens of ended connections (RFC 7009).
#[derive(Debug)]
pub(crate) struct Revocation {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    single_flight: Arc<SingleFlight>,
    derived: Arc<DerivedTokenRecords>,
    sign_ins: Arc<SignInRecords>,
}

impl Revocation {
    pub(crate) fn new(base: &Base, records: &Records) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            single_flight: Arc::clone(&base.single_flight),
            derived: Arc::clone(&records.derived),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Whether a connection was made with the registration that the token is for. Several configured providers may
    /// share one.
    pub(crate) fn is_of_registration(
        &self,
        login: &ProviderSession,
        provider: &Arc<dyn IdentityProvider>,
    ) -> bool {
        let registration = |provider: &Arc<dyn IdentityProvider>| {
            let config = provider.config();
            let issuer = config.endpoints.issuer().to_owned();
            (issuer, config.client_id.clone())
        };
        let its = self.providers.get(&login.provider).map(registration);
        its == Some(registration(provider))
    }

    /// Revokes an ended connection's tokens, and forgets those derived from its own.
    pub(crate) async fn revoke(&self, connection: Connection) {
        let scope = self
            .revocation_scope(&connection.provider, &connection.id, &connection.grant)
            .await;
        self.revoke_connection(connection, scope).await;
    }

    /// As [`Self::revoke`], of a connection whose session has ended at the provider: nothing uses it any more.
    pub(crate) async fn revoke_completely(&self, connection: Connection) {
        self.revoke_connection(connection, RevocationScope::Grant)
            .await;
    }

    /// Revokes a grant that is no connection's any more, or never was one's.
    pub(crate) async fn revoke_grant(
        &self,
        provider: &ProviderId,
        id: &ConnectionId,
        grant: Grant,
    ) {
        let scope = self.revocation_scope(provider, id, &grant).await;
        self.revoke_at_provider((provider, id), grant, (scope, Vec::new()));
    }

    /// Nobody waits for it.
    pub(crate) fn revoke_later(
        &self,
        provider: Arc<dyn IdentityProvider>,
        access_token: AccessToken,
    ) {
        self.single_flight.spawn(async move {
            provider.revoke(&access_token, None).await;
        });
    }

    async fn revoke_connection(&self, connection: Connection, scope: RevocationScope) {
        let derived = self.derived.forget(&connection.id, scope).await;
        let of = (&connection.provider, &connection.id);
        self.revoke_at_provider(of, connection.grant, (scope, derived));
    }

    /// Of the grant, then of the tokens beside its own: where an exchanged token goes first, the provider may not know the
    /// grant any more, and leave its session (seen at Keycloak). Nothing, where the provider is not configured any more.
    fn revoke_at_provider(
        &self,
        (provider, id): (&ProviderId, &ConnectionId),
        grant: Grant,
        (scope, derived): (RevocationScope, Vec<AccessToken>),
    ) {
        let id = id.clone();
        let Some(provider) = self.providers.get(provider).map(Arc::clone) else {
            let event = Event::new().provider(provider).connection(&id);
            event
                .reason("unknown_provider")
                .emit(EventKind::TokenForgotten);
            return;
        };
        let refresh_token = grant
            .tokens
            .refresh_token
            .filter(|_| scope == RevocationScope::Grant);
        self.single_flight.spawn(async move {
            let outcome = provider
                .revoke(&grant.tokens.access_token, refresh_token.as_ref())
                .await;
            report(provider.as_ref(), &id, outcome);
            let revoked = derived.iter().map(|token| provider.revoke(token, None));
            join_all(revoked).await;
        });
    }

    /// How much of the grant is revoked. All of it where nobody can say: better that a person signs in again than that a
    /// grant stays behind.
    async fn revocation_scope(
        &self,
        provider: &ProviderId,
        id: &ConnectionId,
        grant: &Grant,
    ) -> RevocationScope {
        match self.is_shared_by_others(provider, id, grant).await {
            Ok(true) => RevocationScope::AccessTokens,
            Ok(false) => RevocationScope::Grant,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "what else rests on an ended connection's grant is not known; the grant is revoked"
                );
                RevocationScope::Grant
            }
        }
    }

    async fn is_shared_by_others(
        &self,
        provider: &ProviderId,
        id: &ConnectionId,
        grant: &Grant,
    ) -> Result<bool, StoreError> {
        let (Some(provider), Some(session)) = (self.providers.get(provider), &grant.proof.session)
        else {
            return Ok(false);
        };
        let key = Key::logins_of_session(&grant.issuer, session);
        let others = self.remove_from_session(&key, id).await?;
        for login in others.iter().rev() {
            if self.is_of_registration(login, provider) && self.shares_grant(login, grant).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a connection off its session's list. The others: hints, their records are the truth.
    async fn remove_from_session(
        &self,
        key: &Key,
        id: &ConnectionId,
    ) -> Result<Vec<ProviderSession>, StoreError> {
        let mut others = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let found: Found<ProviderSessionIndex> = self.store.load(key).await?;
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

    /// Whether what this entry names is there, and will revoke what it has in common with the grant.
    async fn shares_grant(
        &self,
        login: &ProviderSession,
        grant: &Grant,
    ) -> Result<bool, StoreError> {
        if let Some(nonce) = &login.waiting
            && self.pending_shares_grant(nonce, grant).await?
        {
            return Ok(true);
        }
        // After the sign-in, which may have become it meanwhile.
        let key = Key::connection(&login.connection);
        let found: Found<Connection> = self.store.load(&key).await?;
        let found = found.map(|found| found.value);
        Ok(found.is_some_and(|other| {
            other.renewal != RefreshState::Ended && other.grant.shares_session_grant_with(grant)
        }))
    }

    async fn pending_shares_grant(&self, nonce: &Nonce, grant: &Grant) -> Result<bool, StoreError> {
        let found = self.sign_ins.load_open(nonce).await?;
        let state = found.map(|found| found.value.state);
        Ok(matches!(
            state,
            Some(SignInState::Confirming { candidate, .. })
                if candidate.grant.shares_session_grant_with(grant)
        ))
    }
}

/// Tells the operator whether the provider knows that a connection has ended.
fn report(provider: &dyn IdentityProvider, id: &ConnectionId, outcome: RevocationOutcome) {
    let kind = match outcome {
        RevocationOutcome::Revoked => EventKind::TokenRevoked,
        RevocationOutcome::NotOffered
        | RevocationOutcome::Refused
        | RevocationOutcome::Unreachable => EventKind::TokenForgotten,
    };
    Event::new()
        .provider(&provider.config().id)
        .connection(id)
        .reason(outcome.word())
        .emit(kind);
}
