//! A provider says that a session there has ended (OpenID Connect Back-Channel Logout 1.0): the connections that came
//! of it end too, and their kernels are told to sign in. So do sign-ins that wait for their person's confirmation.

use std::sync::Arc;

use hubkey_protocol::{
    ConnectionId, Nonce, ProviderId,
    internal::{BackchannelLogout, LogoutOutcome},
    secret::AccessToken,
};

use super::{Flows, ending::End};
use crate::{
    audit::{Event, What, hex},
    domain::{
        connection::{Candidate, Connection},
        kernel::Kernel,
        keyed_hash::KeyedHash,
        login::{Login, LoginIndex, UsedLogout},
        renewal::Renewal,
        sign_in::SignIn,
    },
    idp::{IdentityProvider, IdpError, Logout},
    store::{
        Change, Expect, Key, Outcome, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// How often a change is tried against concurrent ones of the same record.
const TRIES: usize = 16;

impl Flows {
    /// Judges the token and ends what it names. A token is good once; ending what has ended is no failure.
    pub async fn backchannel_logout(
        &self,
        provider: &ProviderId,
        request: BackchannelLogout,
    ) -> Result<LogoutOutcome, StoreError> {
        let source = request.source.as_deref();
        let peer = source.and_then(|source| source.parse().ok());
        let Some(place) = self.logout_failures.place(peer).await else {
            return Ok(told(provider, LogoutOutcome::TooMany));
        };
        let event = Event::new().provider(provider).source(source);
        let Some(at) = self.provider(provider).map(Arc::clone) else {
            return Ok(LogoutOutcome::Refused);
        };
        let word = match at.logout(&request.logout_token).await {
            Ok(logout) => match self.log_out(&at, &logout).await? {
                None => {
                    place.give_back();
                    return Ok(told(provider, LogoutOutcome::Done));
                }
                Some(word) => word,
            },
            // Nobody's attempt: the keys could not be fetched.
            Err(IdpError::Unavailable) => {
                place.give_back();
                "unavailable"
            }
            Err(IdpError::Misbehaved(word) | IdpError::Misconfigured(word)) => word,
            Err(_) => "refused",
        };
        let refused = event.reason(word);
        self.limits.refusals.tell(refused, What::PolicyDenied);
        Ok(told(provider, LogoutOutcome::Refused))
    }

    /// Ends what a judged token names; a word where it is refused after all.
    async fn log_out(
        &self,
        provider: &Arc<dyn IdentityProvider>,
        logout: &Logout,
    ) -> Result<Option<&'static str>, StoreError> {
        let used = Key::used_logout(&logout.issuer, &logout.token_id);
        match self.store.load::<UsedLogout>(&used).await {
            Ok(None) => {}
            // That the record is there says all, whichever key sealed it.
            Ok(Some(_)) | Err(StoreError::KeyRetired(_)) => {
                return Ok(Some("logout_token_replayed"));
            }
            Err(error) => return Err(error),
        }
        let Some(logins) = self.logins(logout).await? else {
            return Ok(Some("logout_token_sub_of_another_session"));
        };
        let ours = logins.iter().filter(|login| self.is_of(login, provider));
        for login in ours {
            if !self.end_login(login).await? {
                return Ok(Some("contended"));
            }
        }
        // Last, so that a provider that had no answer may send it again.
        let put = Change::put(used, Expect::Absent, &UsedLogout {}, logout.remember)?;
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(None)
    }

    /// What a token names; nothing where its session is another account's.
    async fn logins(&self, logout: &Logout) -> Result<Option<Vec<Login>>, StoreError> {
        let mut logins = Vec::new();
        if let Some(session) = &logout.session {
            let key = Key::logins_of_session(&logout.issuer, session);
            logins = self.login_index(&key).await?.logins;
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
        let of_account = self.login_index(&key).await?.logins.into_iter();
        logins.extend(of_account.filter(|login| all || login.session.is_none()));
        Ok(Some(logins))
    }

    pub(super) async fn login_index(&self, key: &Key) -> Result<LoginIndex, StoreError> {
        let found: Found<LoginIndex> = self.store.load(key).await?;
        Ok(found.map(|loaded| loaded.value).unwrap_or_default())
    }

    /// Whether a connection was made with the registration that the token is for. Several configured providers may
    /// share one.
    pub(super) fn is_of(&self, login: &Login, provider: &Arc<dyn IdentityProvider>) -> bool {
        let registration = |provider: &Arc<dyn IdentityProvider>| {
            let config = provider.config();
            let issuer = config.endpoints.issuer().to_owned();
            (issuer, config.client_id.clone())
        };
        let its = self.provider(&login.provider).map(registration);
        its == Some(registration(provider))
    }

    /// Ends the connection, or the sign-in that was to become one. `false` where they changed too often.
    async fn end_login(&self, login: &Login) -> Result<bool, StoreError> {
        if let Some(nonce) = &login.waiting
            && !self.end_waiting(nonce).await?
        {
            return Ok(false);
        }
        // After the sign-in, which may have become it meanwhile.
        self.end_connection_of(&login.connection).await
    }

    /// Nobody is asked any more whether the accounts belong together. `false` where the sign-in changed too often.
    async fn end_waiting(&self, nonce: &Nonce) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let Some(waiting) = self.open_sign_in(nonce).await? else {
                return Ok(true);
            };
            let kernel = waiting.value.kernel.clone();
            let provider = waiting.value.provider.clone();
            if self.end_sign_in(waiting, End::Denied, Vec::new()).await? {
                let event = Event::new().kernel(&kernel).provider(&provider);
                let event = event.sign_in(nonce).reason("backchannel_logout");
                event.tell(What::SessionCancelled);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The connection stays, without tokens, so that its kernel learns that a person has to sign in. `false` where it
    /// changed too often.
    async fn end_connection_of(&self, id: &ConnectionId) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let found: Found<Connection> = self.store.load(&Key::connection(id)).await?;
            let Some(found) = found.filter(|found| found.value.renewal != Renewal::Ended) else {
                return Ok(true);
            };
            let put = self.put_connection(&without_tokens(found.clone()))?;
            let outcome = self.store.commit(vec![put]).await?;
            // What is held in memory may be older than what was stored at last.
            self.flights.let_go(id);
            if outcome == Outcome::Done {
                let event = Event::of(&found.value).reason("backchannel_logout");
                event.tell(What::TokenRevoked);
                self.give_back_whole(found.value).await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes a connection where a logout will look for it, and the end of a server, or that it lives longer.
    pub(super) async fn enter_login(&self, connection: &Connection) -> Result<(), StoreError> {
        for kernel in connection.servers() {
            self.enter_server(connection, kernel).await?;
        }
        let login = self.login_of(connection);
        self.enter(&connection.grant.issuer, &login).await
    }

    /// Notes a connection where the end of this server will look for it.
    pub(super) async fn enter_server(
        &self,
        connection: &Connection,
        kernel: &Kernel,
    ) -> Result<(), StoreError> {
        let login = self.login_of(connection);
        self.change_logins(&of_server(&kernel.fingerprint), &login)
            .await
    }

    fn login_of(&self, connection: &Connection) -> Login {
        let ends = connection.extended_at.after(self.rules.connection_life);
        Login::of(connection, ends)
    }

    /// Notes a grant that is to wait for confirmation where a logout will look for it, and the end of its server.
    pub(super) async fn enter_candidate(
        &self,
        candidate: &Candidate,
        sign_in: &SignIn,
    ) -> Result<(), StoreError> {
        let login = Login::of_candidate(candidate, sign_in);
        self.change_logins(&of_server(&sign_in.kernel.fingerprint), &login)
            .await?;
        self.enter(&candidate.grant.issuer, &login).await
    }

    async fn enter(&self, issuer: &str, login: &Login) -> Result<(), StoreError> {
        let session = login.session.as_deref();
        let session = session.map(|session| Key::logins_of_session(issuer, session));
        let account = Key::logins_of_account(issuer, &login.subject);
        for key in session.into_iter().chain([account]) {
            self.change_logins(&key, login).await?;
        }
        Ok(())
    }

    async fn change_logins(&self, key: &Key, login: &Login) -> Result<(), StoreError> {
        let now = self.clock.now();
        let put = |found| {
            let (mut index, expect) = Loaded::<LoginIndex>::or_new(found);
            index.enter(login.clone(), now);
            Change::put(key.clone(), expect, &index, now.until(index.ends_at(now)))
        };
        if self.store.amend(key, TRIES, put).await? == Outcome::Conflict {
            tracing::warn!(
                "the list of an account's or a server's connections changed too often to be written; a logout at the \
                 provider, or the end of the server, would miss this one"
            );
        }
        Ok(())
    }
}

/// Where the connections of the server with this token are listed.
pub(super) fn of_server(token: &KeyedHash) -> Key {
    Key::logins_of_server(&hex(token.as_bytes()))
}

/// The connection as it stays.
fn without_tokens(mut found: Loaded<Connection>) -> Loaded<Connection> {
    found.value.grant.access_token = AccessToken::new("");
    found.value.end();
    found
}

/// Measured.
fn told(provider: &ProviderId, outcome: LogoutOutcome) -> LogoutOutcome {
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
