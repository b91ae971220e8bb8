//! Refreshes that are under way in this process: one for each connection, however many kernels wait for it.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hubkey_domain::{
    connection::Connection, derived_token::DerivedTokenKey, refresh_state::BackoffReason,
    token_set::TokenSet,
};
use hubkey_protocol::{ConnectionId, SignInCause};
use hubkey_store::{StoreError, typed::Loaded};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::use_cases::failure::KernelFailure;

/// Why a refresh brought no token.
#[derive(Debug, Clone)]
pub(crate) enum RefreshFailure {
    /// A person has to sign in.
    SignIn(SignInCause),
    /// Somebody else is at it, or nobody knows yet how it ended.
    InProgress,
    /// The provider did not; not to be asked again for so long.
    Provider(BackoffReason, Duration),
    /// The connection is gone.
    Gone,
    /// The store failed.
    Store(Arc<StoreError>),
}

impl From<StoreError> for RefreshFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<RefreshFailure> for KernelFailure {
    fn from(failure: RefreshFailure) -> Self {
        match failure {
            RefreshFailure::SignIn(cause) => Self::SignInRequired(Some(cause)),
            RefreshFailure::InProgress => Self::RefreshInProgress,
            RefreshFailure::Provider(trouble, rest) => Self::Provider(trouble, rest),
            RefreshFailure::Gone => Self::NotFound,
            RefreshFailure::Store(error) => Self::Store(match *error {
                StoreError::Unavailable(_) => StoreError::Unavailable(Box::new(error)),
                StoreError::DecryptionFailed => StoreError::DecryptionFailed,
                StoreError::Malformed => StoreError::Malformed,
                StoreError::KeyRetired(retired) => StoreError::KeyRetired(retired),
            }),
        }
    }
}

/// How a refresh ended: with the connection as it is now, or not.
pub(crate) type RefreshResult = Result<Arc<Connection>, RefreshFailure>;

/// How the way to a token beside the connection's own ended.
pub(crate) type DerivedTokenResult = Result<Arc<TokenSet>, RefreshFailure>;

/// One way to something, for all who wait for it.
type SharedRun<L> = Shared<BoxFuture<'static, L>>;

type Running<K, L> = Mutex<HashMap<K, SharedRun<L>>>;

/// See the module. A flight goes on when those who wait for it give up: what a provider answers must not get lost.
#[derive(Default)]
pub(crate) struct SingleFlight {
    running: Running<ConnectionId, RefreshResult>,
    /// Those to tokens beside a connection's own.
    targets: Running<(ConnectionId, DerivedTokenKey), DerivedTokenResult>,
    /// Refreshed connections that the store did not take yet.
    held: Mutex<HashMap<ConnectionId, Loaded<Connection>>>,
    tasks: TaskTracker,
}

impl SingleFlight {
    /// Waits for what is under way, for that long.
    pub(crate) async fn finish(&self, limit: Duration) {
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!("refreshes or revocations were still under way when the process ended");
        }
    }

    /// Joins the flight of this connection; where there is none, `begin` gives one.
    pub(crate) fn join(
        &self,
        id: &ConnectionId,
        begin: impl FnOnce() -> BoxFuture<'static, RefreshResult>,
    ) -> SharedRun<RefreshResult> {
        self.join_in(&self.running, id, begin)
    }

    /// Ends the flight: who comes later begins a new one.
    pub(crate) fn remove(&self, id: &ConnectionId) {
        lock(&self.running).remove(id);
    }

    /// As [`Self::join`], for one target of a connection.
    pub(crate) fn join_derived(
        &self,
        to: &(ConnectionId, DerivedTokenKey),
        begin: impl FnOnce() -> BoxFuture<'static, DerivedTokenResult>,
    ) -> SharedRun<DerivedTokenResult> {
        self.join_in(&self.targets, to, begin)
    }

    /// Ends that flight.
    pub(crate) fn end_derived(&self, to: &(ConnectionId, DerivedTokenKey)) {
        lock(&self.targets).remove(to);
    }

    fn join_in<K: Clone + Eq + Hash, T: Clone + Send + Sync + 'static>(
        &self,
        running: &Running<K, Result<T, RefreshFailure>>,
        to: &K,
        begin: impl FnOnce() -> BoxFuture<'static, Result<T, RefreshFailure>>,
    ) -> SharedRun<Result<T, RefreshFailure>> {
        let mut running = lock(running);
        if let Some(flight) = running.get(to) {
            return flight.clone();
        }
        let task = self.spawn(begin());
        let flight = async move { task.await.unwrap_or(Err(RefreshFailure::InProgress)) };
        let flight = flight.boxed().shared();
        running.insert(to.clone(), flight.clone());
        flight
    }

    /// Runs to its end, also when nobody waits.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tasks.spawn(task)
    }

    pub(crate) fn hold(&self, connection: &Loaded<Connection>) {
        lock(&self.held).insert(connection.value.id.clone(), connection.clone());
    }

    pub(crate) fn held(&self, id: &ConnectionId) -> Option<Loaded<Connection>> {
        lock(&self.held).get(id).cloned()
    }

    pub(crate) fn release(&self, id: &ConnectionId) {
        lock(&self.held).remove(id);
    }
}

impl fmt::Debug for SingleFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight")
            .field("running", &lock(&self.running).len())
            .field("held", &lock(&self.held).len())
            .finish_non_exhaustive()
    }
}

/// The maps are whole between any two statements, so a panic elsewhere does not spoil them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
