//! Reading and changing a hub user's index. It is found by the name, and counts for one who has it only.

use super::{Flows, create_sign_in::REPEATABLE};
use crate::{
    domain::{clock::Timestamp, kernel::HubUser, user_index::UserIndex},
    store::{
        Change, Expect, Key, Outcome, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// How often a change is tried against concurrent ones of the same hub user.
const TRIES: usize = 8;

impl Flows {
    /// The index of this hub user; one of who had the name before is none.
    pub(super) async fn index_of(&self, user: &HubUser) -> Result<Found<UserIndex>, StoreError> {
        let found: Found<UserIndex> = self.store.load(&Key::user_index(user)).await?;
        Ok(found.filter(|index| index.value.may_be_of(user)))
    }

    /// Changes the index of this hub user. Where somebody else has the name by now it stays as it is.
    pub(super) async fn change_index(
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
            self.put_index(user, expect, &index)
        };
        if self.store.amend(&key, TRIES, put).await? == Outcome::Conflict {
            tracing::warn!(
                "a user's index changed too often to be written; it mends itself at the next sign-in"
            );
        }
        Ok(())
    }

    /// A change of a user's index; it lives as long as anything in it may.
    pub(super) fn put_index(
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
            longest.max(REPEATABLE),
        )
    }
}
