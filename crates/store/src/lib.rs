//! Where records live: one trait, its contract in prose, and one conformance test for each promise.
//!
//! 1. A record is a value with a generation. It is read whole or not at all, and it is gone when its time is over.
//! 2. [`Store::commit`] carries out all of its changes or none; each change names the generation that it replaces, or
//!    that there is no record. Of concurrent commits that expect the same, exactly one is [`Outcome::Done`].
//! 3. All keys of one commit belong to one aggregate, and so lie in one slot of a Redis cluster.
//! 4. After a commit that wakes a key, every [`Watch`] of that key that was taken before ends soon. A watch may also
//!    end without reason, or never where a message was lost: it is a hint, the record is the truth.
//! 5. A value that cannot be opened is an error, never an absent record. A value that was sealed with a key that is held
//!    no more is what its [`Purpose`] says: gone for most, and then [`Expect::Absent`] holds of it; else an error of its own
//!    (`docs/adr/0058-retired-keys.md`).
//! 6. Errors are typed and carry no value and no key.
//! 7. After [`StoreError::Unavailable`] nobody knows whether a commit was carried out: read again before going on.
//!
//! Of our crates this one knows `hubkey-domain` and `hubkey-protocol`. What is built upon it cannot be named in it:
//!
//! ```compile_fail,E0433
//! use hubkey_token_broker::use_cases::Broker;
//! ```
//!
//! That line is a doc test of `hubkey-token-broker` too, where it compiles. What is below can be named:
//!
//! ```
//! use hubkey_domain::sign_in::SignIn;
//! use hubkey_store::{Purpose, typed::Stored};
//!
//! assert_eq!(SignIn::PURPOSE, Purpose::SignIn);
//! ```

pub mod keys;
mod local_notify;
pub mod memory;
mod records;
pub mod redis;
mod retired;
pub mod sealed;
mod telemetry;
pub mod typed;
mod validate;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hubkey_domain::{identity::HubUser, refusal::Refusal};
use hubkey_protocol::{
    ConnectionId, Nonce, ProviderId, ShortId,
    secret::{FlowCookie, Secret, State, Ticket},
};
use zeroize::Zeroizing;

use crate::keys::KeyId;

/// Where records live. See the module's documentation for what is promised.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Reads records of one aggregate, in the order of `keys`; one round trip.
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError>;

    /// Carries out all changes or none; one round trip.
    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError>;

    /// Waits for the next commit that wakes `key`. Take it before reading, so that nothing is missed between.
    async fn watch(&self, key: &Key) -> Result<Watch, StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What an operator finds the record by, where the store is one into which they can look. It tells neither who nor what.
    fn record_name(&self, _key: &Key) -> Option<String> {
        None
    }
}

/// A store that several own.
#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        (**self).read(keys).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Outcome, StoreError> {
        (**self).commit(changes).await
    }

    async fn watch(&self, key: &Key) -> Result<Watch, StoreError> {
        (**self).watch(key).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        (**self).ping().await
    }

    fn record_name(&self, key: &Key) -> Option<String> {
        (**self).record_name(key)
    }
}

/// A future that ends when a key may have changed.
pub type Watch = BoxFuture<'static, ()>;

/// A value and its generation, counted from 1 at each creation.
#[derive(Clone)]
pub struct Record {
    /// The generation of the record: it grows with each change.
    pub generation: u64,
    /// The value, in clear above the sealing decorator, sealed below it.
    pub value: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// One part of a commit.
#[derive(Debug, Clone)]
pub struct Change {
    /// Of which record.
    pub key: Key,
    /// What must be there for any of the commit to happen.
    pub expect: Expect,
    /// What to do.
    pub action: Action,
}

/// What must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No record.
    Absent,
    /// A record of exactly this generation.
    Generation(u64),
}

impl Expect {
    /// The generation of what a put usually leaves.
    #[must_use]
    pub fn next(self) -> u64 {
        match self {
            Self::Absent => 1,
            Self::Generation(generation) => generation + 1,
        }
    }
}

/// What to do with a record.
#[derive(Clone)]
pub enum Action {
    /// Write it.
    Put {
        /// Its generation, above the one that it replaces.
        generation: u64,
        /// The new value.
        value: Zeroizing<Vec<u8>>,
        /// How long it lives.
        ttl: Duration,
        /// Whether to end the watches of this key.
        wake: bool,
    },
    /// Remove it.
    Delete,
    /// Only check that it is as expected.
    Keep,
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put { .. } => "Put",
            Self::Delete => "Delete",
            Self::Keep => "Keep",
        })
    }
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Everything was carried out.
    Done,
    /// Something was not as expected; nothing was carried out.
    Conflict,
}

/// Why a store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or refused.
    #[error("the store did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A value could not be opened: altered, moved, rolled back, or past its sealed end.
    #[error("a stored record could not be opened")]
    DecryptionFailed,
    /// A value was sealed with a key that is held no more, and must not count as gone.
    #[error("a stored record was sealed with a key that is held no more")]
    KeyRetired(RetiredKey),
    /// A value was opened and is not what its purpose says.
    #[error("a stored record is not of the expected form")]
    Malformed,
}

/// A record that only a key opens which is held no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetiredKey {
    /// Which key, as the record says. Nothing vouches for it.
    pub key: KeyId,
    /// What the record is for.
    pub purpose: Purpose,
    /// What a change of it has to expect.
    pub generation: u64,
}

/// What a record is for. Part of its name and of its associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A sign-in, by its nonce.
    SignIn,
    /// The way from a ticket to its sign-in.
    Ticket,
    /// A browser's half of a sign-in, by its cookie.
    Flow,
    /// The way from a state (to the Hub or to a provider) to its flow.
    State,
    /// A connection with its grant.
    Connection,
    /// That someone uses a connection's refresh token.
    Lease,
    /// Tokens of a connection beside its own.
    Targets,
    /// What a hub user has open: sign-ins and connections.
    UserIndex,
    /// Which poll of a sign-in is the newest.
    Poll,
    /// The answer to a repeated `POST /v1/sign-ins`.
    Idempotency,
    /// Which account a hub user has at a provider.
    AccountLink,
    /// Which hub user an account belongs to.
    Owner,
    /// Which connections came of a session or an account at a provider, and which a server has.
    Logins,
    /// That a logout token was used.
    UsedLogout,
    /// That a suspended grant of a provider works again.
    Recovery,
}

impl Purpose {
    /// The word in a key's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Ticket => "ticket",
            Self::Flow => "flow",
            Self::State => "state",
            Self::Connection => "connection",
            Self::Lease => "lease",
            Self::Targets => "targets",
            Self::UserIndex => "user-index",
            Self::Poll => "poll",
            Self::Idempotency => "idempotency",
            Self::AccountLink => "account-link",
            Self::Owner => "owner",
            Self::Logins => "logins",
            Self::UsedLogout => "used-logout",
            Self::Recovery => "recovery",
        }
    }

    /// Whether a record counts as gone when the key that sealed it is held no more. Where it does, somebody signs in or
    /// confirms again. Where it does not, a gone record would permit what this one forbids: a second owner, a second use
    /// of a refresh token, a second use of a logout token.
    #[must_use]
    pub(crate) const fn is_gone_with_its_key(self) -> bool {
        !matches!(self, Self::Owner | Self::Lease | Self::UsedLogout)
    }

    /// Whether a record is sealed anew when it is read under an older key: those that live long, or are often read and
    /// seldom written.
    #[must_use]
    pub(crate) const fn is_resealed_on_read(self) -> bool {
        matches!(self, Self::Owner | Self::AccountLink | Self::UserIndex)
    }
}

/// The name of a record: its aggregate, its purpose and its id within. Backends write none of it in clear.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    aggregate: Vec<u8>,
    purpose: Purpose,
    id: Vec<u8>,
}

impl Key {
    /// A sign-in.
    #[must_use]
    pub fn sign_in(nonce: &Nonce) -> Self {
        Self::of_sign_in(&nonce.short(), Purpose::SignIn, nonce.as_str())
    }

    /// The newest poll of a sign-in.
    #[must_use]
    pub fn poll(nonce: &Nonce) -> Self {
        Self::of_sign_in(&nonce.short(), Purpose::Poll, nonce.as_str())
    }

    /// The ticket of the sign-in with this short id.
    #[must_use]
    pub fn ticket(short: &ShortId, ticket: &Ticket) -> Self {
        Self::of_sign_in(short, Purpose::Ticket, ticket.expose())
    }

    /// A flow of the sign-in with this short id.
    #[must_use]
    pub fn flow(short: &ShortId, cookie: &FlowCookie) -> Self {
        Self::of_sign_in(short, Purpose::Flow, cookie.expose())
    }

    /// A state of the sign-in with this short id.
    #[must_use]
    pub fn state(short: &ShortId, state: &State) -> Self {
        Self::of_sign_in(short, Purpose::State, state.expose())
    }

    /// A connection.
    #[must_use]
    pub fn connection(id: &ConnectionId) -> Self {
        Self::of_connection(id, Purpose::Connection)
    }

    /// That someone uses a connection's refresh token.
    #[must_use]
    pub fn lease(id: &ConnectionId) -> Self {
        Self::of_connection(id, Purpose::Lease)
    }

    /// Tokens of a connection beside its own.
    #[must_use]
    pub fn targets(id: &ConnectionId) -> Self {
        Self::of_connection(id, Purpose::Targets)
    }

    /// What a hub user has open.
    #[must_use]
    pub fn user_index(user: &HubUser) -> Self {
        Self::new(&["user", user.as_str()], Purpose::UserIndex, &[])
    }

    /// A repeated request of a hub user's server.
    #[must_use]
    pub fn idempotency(user: &HubUser, fingerprint: &str, key: &str) -> Self {
        Self::new(
            &["user", user.as_str()],
            Purpose::Idempotency,
            &[fingerprint, key],
        )
    }

    /// The account that a hub user has at a provider.
    #[must_use]
    pub fn account_link(user: &HubUser, provider: &ProviderId) -> Self {
        Self::new(
            &["account-link", user.as_str(), provider.as_str()],
            Purpose::AccountLink,
            &[],
        )
    }

    /// The hub user that an account belongs to.
    #[must_use]
    pub fn owner(issuer: &str, subject: &str) -> Self {
        Self::new(&["account", issuer, subject], Purpose::Owner, &[])
    }

    /// The connections of a provider's session.
    #[must_use]
    pub fn logins_of_session(issuer: &str, session: &str) -> Self {
        Self::new(&["session", issuer, session], Purpose::Logins, &[])
    }

    /// The connections of an account at a provider.
    #[must_use]
    pub fn logins_of_account(issuer: &str, subject: &str) -> Self {
        Self::new(&["logins", issuer, subject], Purpose::Logins, &[])
    }

    /// The connections of the server with the token of this fingerprint.
    #[must_use]
    pub fn logins_of_server(fingerprint: &str) -> Self {
        Self::new(&["server", fingerprint], Purpose::Logins, &[])
    }

    /// That a logout token was used.
    #[must_use]
    pub fn used_logout(issuer: &str, token_id: &str) -> Self {
        Self::new(&["logout", issuer, token_id], Purpose::UsedLogout, &[])
    }

    /// That a grant of this provider works again that was refused in this way.
    #[must_use]
    pub fn recovery(provider: &ProviderId, refusal: &Refusal) -> Self {
        let way = refusal.to_string();
        Self::new(
            &["recovery", provider.as_str(), &way],
            Purpose::Recovery,
            &[],
        )
    }

    /// The bytes that decide in which slot the record lies.
    #[must_use]
    pub fn aggregate(&self) -> &[u8] {
        &self.aggregate
    }

    /// What the record is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The bytes that name the record among those of its aggregate and purpose.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    fn of_connection(id: &ConnectionId, purpose: Purpose) -> Self {
        Self::new(&["connection", id.as_str()], purpose, &[id.as_str()])
    }

    fn of_sign_in(short: &ShortId, purpose: Purpose, id: &str) -> Self {
        Self::new(&["sign-in", short.as_str()], purpose, &[id])
    }

    fn new(aggregate: &[&str], purpose: Purpose, id: &[&str]) -> Self {
        Self {
            aggregate: length_prefixed(aggregate),
            purpose,
            id: length_prefixed(id),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.purpose.as_str())
    }
}

/// Joins parts so that no two lists of parts give the same bytes.
#[must_use]
pub fn length_prefixed<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
