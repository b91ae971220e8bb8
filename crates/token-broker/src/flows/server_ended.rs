//! The Hub tells that a single-user server ended.

use hubkey_protocol::{Nonce, ServerEnded};

use super::{Asker, Flows, ending::End, failure::KernelFailure};
use crate::{
    domain::{
        clock::Timestamp,
        connection::Connection,
        kernel::{HubUser, Kernel, ServerName},
        user_index::UserIndex,
    },
    store::{
        Key, StoreError,
        typed::{Loaded, TypedStore},
    },
};

/// A server, and when the Hub told of its end. What was made later is of its next start.
struct Ended {
    user: HubUser,
    server: ServerName,
    told: Timestamp,
}

impl Ended {
    fn is(&self, kernel: &Kernel) -> bool {
        kernel.user == self.user && kernel.server == self.server
    }

    fn made(&self, kernel: &Kernel, at: Timestamp) -> bool {
        self.is(kernel) && at <= self.told
    }
}

impl Flows {
    /// Ends what the server has: connections, with revocation at the provider, and sign-ins that wait for a person.
    ///
    /// The Hub tells it while the stop goes on, so there is no later start of that server yet, and no token of it that
    /// is still good.
    pub async fn server_ended(
        &self,
        asker: &Asker,
        ended: &ServerEnded,
    ) -> Result<(), KernelFailure> {
        if !self.kernels.is_the_hub(&asker.token) {
            return Err(KernelFailure::NotTheHub);
        }
        let (Some(user), Some(server)) = (
            HubUser::parse(&ended.user),
            ServerName::parse(&ended.server),
        ) else {
            return Ok(());
        };
        let told = self.clock.now();
        self.end_all_of(&Ended { user, server, told }).await
    }

    async fn end_all_of(&self, ended: &Ended) -> Result<(), KernelFailure> {
        let index: Option<Loaded<UserIndex>> =
            self.store.load(&Key::user_index(&ended.user)).await?;
        let Some(index) = index.map(|loaded| loaded.value) else {
            return Ok(());
        };
        for open in &index.open {
            self.end_open(&open.nonce, ended).await?;
        }
        for id in index.ids() {
            // One that other servers share goes on without this one.
            let only = |connection: &Connection| {
                connection
                    .servers()
                    .all(|kernel| ended.made(kernel, connection.since))
            };
            match self.end_connection(&id, only, "server_ended").await {
                Ok(()) => {}
                Err(KernelFailure::NotFound) => {
                    self.leave_connection(&id, |kernel| ended.is(kernel))
                        .await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn end_open(&self, nonce: &Nonce, ended: &Ended) -> Result<(), StoreError> {
        let found = self.open_sign_in(nonce).await?;
        let of_it = found.filter(|loaded| ended.made(&loaded.value.kernel, loaded.value.asked_at));
        if let Some(loaded) = of_it {
            // Where it moved meanwhile, it ended or became a connection, which is looked for next.
            self.end_sign_in(loaded, End::Denied, Vec::new()).await?;
        }
        Ok(())
    }
}
