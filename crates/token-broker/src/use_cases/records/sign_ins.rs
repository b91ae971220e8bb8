//! Sign-ins in the store: read, and written with the lifetime that their state gives them.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::{Clock, Timestamp},
    sign_in::SignIn,
};
use hubkey_protocol::Nonce;
use hubkey_store::{
    Change, Key, Store, StoreError,
    typed::{Loaded, TypedStore},
};

use crate::use_cases::{base::Base, connect_span, rules::Rules};

/// How long a finished sign-in's record outlives its end, so that its kernel learns how it ended.
pub(crate) const RESULT_RETENTION: Duration = Duration::from_mins(3);

/// Reads and writes sign-ins.
#[derive(Debug)]
pub(crate) struct SignInRecords {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
}

impl SignInRecords {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
            rules: Arc::clone(&base.rules),
        }
    }

    pub(crate) async fn load(&self, nonce: &Nonce) -> Result<Option<Loaded<SignIn>>, StoreError> {
        let found = self.store.load::<SignIn>(&Key::sign_in(nonce)).await?;
        Ok(found.inspect(|loaded| connect_span::join(&loaded.value)))
    }

    /// A sign-in that a person may still finish.
    pub(crate) async fn load_open(
        &self,
        nonce: &Nonce,
    ) -> Result<Option<Loaded<SignIn>>, StoreError> {
        let now = self.clock.now();
        let found = self.load(nonce).await?;
        Ok(found.filter(|loaded| loaded.value.is_open() && !loaded.value.is_expired(now)))
    }

    /// The change that writes a sign-in after a transition. Its record outlives its end, so that its kernel learns how
    /// it ended.
    pub(crate) fn put(&self, moved: &Loaded<SignIn>) -> Result<Change, StoreError> {
        let sign_in = &moved.value;
        let life = if sign_in.is_open() {
            self.lifetime_until(sign_in.expires_at)
        } else {
            self.rules.redelivery + RESULT_RETENTION
        };
        Change::put(Key::sign_in(&sign_in.nonce), moved.expect(), sign_in, life)
    }

    /// How long the record of a sign-in that ends at `end` has to live.
    pub(crate) fn lifetime_until(&self, end: Timestamp) -> Duration {
        self.clock.now().until(end) + RESULT_RETENTION
    }
}
