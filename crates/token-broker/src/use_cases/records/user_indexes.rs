//! Reading and changing a hub user's index. It is found by the name, and counts for one who has it only.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::{Clock, Timestamp},
    identity::HubUser,
    sign_in::SignIn,
    user_index::UserIndex,
};
use hubkey_store::{
    Change, Expect, Key, Outcome, Store, StoreError,
    typed::{Found, Loaded, TypedStore},
};

use crate::use_cases::base::Base;

/// How long a repeated request gets the same answer.
pub(crate) const IDEMPOTENCY_RETENTION: Duration = Duration::from_mins(1);

/// How often a change is tried against concurrent ones of the same hub user.
const MAX_ATTEMPTS: usize = 8;

/// Reads and changes the list of a hub user's sign-ins and connections.
#[derive(Debug)]
pub(crate) struct UserIndexes {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl UserIndexes {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
        }
    }

    /// Notes that a sign-in ended. Left undone by a fault, the entry ends by itself.
    pub(crate) async fn note_ended(&self, sign_in: &SignIn) {
        let noted = self
            .change(&sign_in.kernel.user, |index| index.ended(&sign_in.nonce))
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "an ended sign-in stays in its user's index until it would have expired");
        }
    }

    /// The index of this hub user; one of who had the name before is none.
    pub(crate) async fn load(&self, user: &HubUser) -> Result<Found<UserIndex>, StoreError> {
        let found: Found<UserIndex> = self.store.load(&Key::user_index(user)).await?;
        Ok(found.filter(|index| index.value.may_be_of(user)))
    }

    /// Changes the index of this hub user. Where somebody else has the name by now it stays as it is.
    pub(crate) async fn change(
        &self,
        user: &HubUser,
        mut change: impl FnMut(&mut UserIndex) + Send,
    ) -> Result<(), StoreError> {
        let key = Key::user_index(user);
        let put = |found| {
            let (mut index, expect) = Loaded::<UserIndex>::or_new(found);
            if !index.may_be_of(user) {
                return Ok(Change::keep(key.clone(), expect));
            }
            index.belong_to(user);
            index.prune(self.clock.now());
            change(&mut index);
            self.put(user, expect, &index)
        };
        if self.store.amend(&key, MAX_ATTEMPTS, put).await? == Outcome::Conflict {
            tracing::warn!(
                "a user's index changed too often to be written; it mends itself at the next sign-in"
            );
        }
        Ok(())
    }

    /// A change of a user's index; it lives as long as anything in it may.
    pub(crate) fn put(
        &self,
        user: &HubUser,
        expect: Expect,
        index: &UserIndex,
    ) -> Result<Change, StoreError> {
        let now = self.clock.now();
        let ends = |at: Timestamp| now.until(at);
        let longest = index
            .connections
            .iter()
            .map(|connection| ends(connection.expires_at))
            .chain(index.open.iter().map(|open| ends(open.expires_at)))
            .max()
            .unwrap_or_default();
        Change::put(
            Key::user_index(user),
            expect,
            index,
            longest.max(IDEMPOTENCY_RETENTION),
        )
    }
}
