//! A provider says that a session there has ended (OpenID Connect Back-Channel Logout 1.0): the connections that came
//! of it end too, and their kernels learn that a person has to sign in. So do sign-ins that wait for their person's
//! confirmation.

use std::sync::Arc;

use hubkey_domain::{
    connection::Connection,
    provider_session::{ConsumedLogoutToken, ProviderSession},
    refresh_state::RefreshState,
};
use hubkey_oidc::{IdentityProvider, IdpError, Logout};
use hubkey_protocol::{
    ConnectionId, Nonce, ProviderId,
    internal::{BackchannelLogout, LogoutOutcome},
    provider_rules::ProviderRule,
    secret::AccessToken,
};
use hubkey_store::{
    Change, Expect, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};

use crate::{
    audit::{Event, EventKind},
    hub::failure_limiter::FailureLimiter,
    use_cases::{
        base::Base,
        common::Common,
        connections::revocation::Revocation,
        providers::Providers,
        records::{
            Records, connections::ConnectionRecords, provider_sessions::ProviderSessions,
            sign_ins::SignInRecords,
        },
        refusal_log::RefusalLog,
        sign_in::ending::{KernelOutcome, SignInEndings},
        tokens::single_flight::SingleFlight,
    },
};

/// How often a change is tried against concurrent ones of the same record.
const MAX_ATTEMPTS: usize = 16;

/// Carries out logouts that a provider reports.
#[derive(Debug)]
pub struct BackchannelLogouts {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    single_flight: Arc<SingleFlight>,
    logout_failures: FailureLimiter,
    refusal_log: Arc<RefusalLog>,
    connections: Arc<ConnectionRecords>,
    endings: Arc<SignInEndings>,
    revocation: Arc<Revocation>,
    sessions: Arc<ProviderSessions>,
    sign_ins: Arc<SignInRecords>,
}

impl BackchannelLogouts {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            single_flight: Arc::clone(&base.single_flight),
            logout_failures: FailureLimiter::new(Arc::clone(&base.clock)),
            refusal_log: Arc::clone(&base.refusal_log),
            connections: Arc::clone(&records.connections),
            endings: Arc::clone(&common.endings),
            revocation: Arc::clone(&common.revocation),
            sessions: Arc::clone(&records.sessions),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Validates the token and ends what it names. A token is good once; ending what has ended is no failure.
    pub async fn backchannel_logout(
        &self,
        provider: &ProviderId,
        request: BackchannelLogout,
    ) -> Result<LogoutOutcome, StoreError> {
        let source = request.source.as_deref();
        let client = source.and_then(|source| source.parse().ok());
        let Some(slot) = self.logout_failures.acquire(client).await else {
            return Ok(count_logout(provider, LogoutOutcome::TooMany));
        };
        let event = Event::new().provider(provider).source(source);
        let Some(at) = self.providers.get(provider).map(Arc::clone) else {
            return Ok(LogoutOutcome::Refused);
        };
        let word = match at.logout(&request.logout_token).await {
            Ok(logout) => match self.log_out(&at, &logout).await? {
                None => {
                    slot.refund();
                    return Ok(count_logout(provider, LogoutOutcome::Done));
                }
                Some(word) => word,
            },
            // Nobody's attempt: the keys could not be fetched.
            Err(IdpError::Unavailable) => {
                slot.refund();
                "unavailable"
            }
            Err(IdpError::RuleBroken(rule)) => rule.name(),
            Err(IdpError::Misconfigured(word)) => word,
            Err(IdpError::OutcomeUnknown | IdpError::Refused(_) | IdpError::Userinfo(_)) => {
                "refused"
            }
        };
        let refused = event.reason(word);
        self.refusal_log.emit(refused, EventKind::PolicyDenied);
        Ok(count_logout(provider, LogoutOutcome::Refused))
    }

    /// Ends what a valid token names; a word where it is refused after all.
    async fn log_out(
        &self,
        provider: &Arc<dyn IdentityProvider>,
        logout: &Logout,
    ) -> Result<Option<&'static str>, StoreError> {
        let used = Key::used_logout(&logout.issuer, &logout.token_id);
        match self.store.load::<ConsumedLogoutToken>(&used).await {
            Ok(None) => {}
            // That the record is there says all, whichever key sealed it.
            Ok(Some(_)) | Err(StoreError::KeyRetired(_)) => {
                return Ok(Some(ProviderRule::LogoutTokenReplayed.name()));
            }
            Err(error) => return Err(error),
        }
        let Some(logins) = self.affected_sessions(logout).await? else {
            return Ok(Some(ProviderRule::LogoutTokenForeignSession.name()));
        };
        let mut ours = logins;
        ours.retain(|login| self.revocation.is_of_registration(login, provider));
        let named_any = !ours.is_empty();
        ours.retain(|login| is_signed_alike(login, logout));
        if named_any && ours.is_empty() {
            return Ok(Some(ProviderRule::LogoutTokenForeignAlgorithm.name()));
        }
        for login in &ours {
            if !self.end_session(login).await? {
                return Ok(Some("contended"));
            }
        }
        // Last, so that a provider that had no answer may send it again.
        let put = Change::put(
            used,
            Expect::Absent,
            &ConsumedLogoutToken {},
            logout.remember,
        )?;
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(None)
    }

    /// What a token names; nothing where its session is another account's.
    async fn affected_sessions(
        &self,
        logout: &Logout,
    ) -> Result<Option<Vec<ProviderSession>>, StoreError> {
        let mut logins = Vec::new();
        if let Some(session) = &logout.session {
            let key = Key::logins_of_session(&logout.issuer, session);
            logins = self.sessions.load(&key).await?.logins;
        }
        let Some(subject) = &logout.subject else {
            return Ok(Some(logins));
        };
        if logins.iter().any(|login| login.subject != *subject) {
            return Ok(None);
        }
        // With a session, beside its own connections only those of which the session is not known.
        let all = logout.session.is_none();
        let key = Key::logins_of_account(&logout.issuer, subject);
        let of_account = self.sessions.load(&key).await?.logins.into_iter();
        logins.extend(of_account.filter(|login| all || login.session.is_none()));
        Ok(Some(logins))
    }

    /// Ends the connection, or the sign-in that was to become one. `false` where they changed too often.
    async fn end_session(&self, login: &ProviderSession) -> Result<bool, StoreError> {
        if let Some(nonce) = &login.waiting
            && !self.end_pending_sign_in(nonce).await?
        {
            return Ok(false);
        }
        // After the sign-in, which may have become it meanwhile.
        self.end_connection(&login.connection).await
    }

    /// Nobody is asked any more whether the accounts belong together. `false` where the sign-in changed too often.
    async fn end_pending_sign_in(&self, nonce: &Nonce) -> Result<bool, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(waiting) = self.sign_ins.load_open(nonce).await? else {
                return Ok(true);
            };
            let kernel = waiting.value.kernel.clone();
            let provider = waiting.value.provider.clone();
            if self
                .endings
                .end_sign_in(waiting, KernelOutcome::Denied, Vec::new())
                .await?
            {
                let event = Event::new().kernel(&kernel).provider(&provider);
                let event = event.sign_in(nonce).reason("backchannel_logout");
                event.emit(EventKind::SignInCancelled);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The connection stays, without tokens, so that its kernel learns that a person has to sign in. `false` where it
    /// changed too often.
    async fn end_connection(&self, id: &ConnectionId) -> Result<bool, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let found: Found<Connection> = self.store.load(&Key::connection(id)).await?;
            let Some(found) = found.filter(|found| found.value.renewal != RefreshState::Ended)
            else {
                return Ok(true);
            };
            let put = self.connections.put(&without_tokens(found.clone()))?;
            let outcome = self.store.commit(vec![put]).await?;
            // What is held in memory may be older than what was stored at last.
            self.single_flight.release(id);
            if outcome == Outcome::Done {
                let event = Event::for_connection(&found.value).reason("backchannel_logout");
                event.emit(EventKind::GrantEnded);
                self.revocation.revoke_completely(found.value).await;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether the session's ID token was signed as the logout token is (section 2.6 of Back-Channel Logout 1.0): a key of
/// another algorithm that the provider also publishes may be in other hands.
fn is_signed_alike(login: &ProviderSession, logout: &Logout) -> bool {
    match (login.algorithm.as_deref(), logout.algorithm) {
        (Some(its), Some(given)) => its == given,
        (None, _) | (_, None) => true,
    }
}

/// The connection as it stays.
fn without_tokens(mut found: Loaded<Connection>) -> Loaded<Connection> {
    found.value.grant.tokens.access_token = AccessToken::new("");
    found.value.end();
    found
}

/// Counts a logout by its outcome.
pub(crate) fn count_logout(provider: &ProviderId, outcome: LogoutOutcome) -> LogoutOutcome {
    let word = match outcome {
        LogoutOutcome::Done => "done",
        LogoutOutcome::Refused => "refused",
        LogoutOutcome::TooMany => "too_many",
    };
    metrics::counter!(
        "hubkey_backchannel_logouts_total",
        "provider" => provider.as_str().to_owned(),
        "outcome" => word,
    )
    .increment(1);
    outcome
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hubkey_domain::clock::Timestamp;

    use super::*;

    #[test]
    fn found_b7_what_is_not_known_of_a_session_keeps_no_logout_away() {
        let session = |algorithm: Option<&str>| ProviderSession {
            connection: ConnectionId::parse(format!("abcdef.{}", "c".repeat(22))).unwrap(),
            provider: ProviderId::parse("lab-api").unwrap(),
            subject: "alice".to_owned(),
            session: None,
            algorithm: algorithm.map(str::to_owned),
            waiting: None,
            expires_at: Timestamp::from_millis(0),
        };
        let signed = |algorithm| Logout {
            issuer: "https://op.example".to_owned(),
            subject: Some("alice".to_owned()),
            session: None,
            algorithm,
            token_id: "j".to_owned(),
            remember: Duration::from_secs(1),
        };
        for (of_session, of_token, alike) in [
            (None, Some("RS256"), true),
            (Some("RS256"), None, true),
            (Some("RS256"), Some("RS256"), true),
            (Some("RS256"), Some("PS256"), false),
        ] {
            assert_eq!(
                is_signed_alike(&session(of_session), &signed(of_token)),
                alike
            );
        }
    }
}
