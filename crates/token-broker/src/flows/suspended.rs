//! A refresh that was refused without a word that the grant is gone (ADR 49): its person may sign in at once, and nothing
//! that may still work is thrown away.

use std::time::Duration;

use hubkey_protocol::{ConnectionId, SignInCause};

use super::{
    Flows,
    attempt::{Intent, Readiness},
    flights::{Landing, Missed},
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::Connection,
        refusal::Refusal,
        renewal::{Recovery, Renewal, SUSPENDED_FOR, Trouble},
    },
    store::{
        Change, Key, Outcome, StoreError,
        typed::{Found, Loaded, TypedStore},
    },
};

/// How often the record of a recovery is tried against concurrent ones.
const TRIES: usize = 4;

impl Flows {
    /// The provider refused in words that may mean this refresh token. After a lost answer that was its last try.
    pub(super) async fn reject(
        &self,
        intent: Intent,
        refusal: Refusal,
        everybody: Option<bool>,
    ) -> Landing {
        tell_operator(&intent.connection.value, &refusal, everybody);
        if intent.ready == Readiness::Recovery {
            return self
                .end(intent.connection, What::TokenRevoked, "refused_after_loss")
                .await;
        }
        self.suspend(intent, refusal).await
    }

    /// The provider asks for patience. After a lost answer the refresh token has had its second and last try at once.
    pub(super) async fn rest_or_suspend(
        &self,
        intent: Intent,
        refusal: Refusal,
        asked: Option<Duration>,
    ) -> Landing {
        match intent.ready {
            Readiness::First => self.rest(intent, Trouble::Unavailable, asked).await,
            Readiness::Recovery => self.suspend(intent, refusal).await,
        }
    }

    /// The provider refuses hubkey's registration, whatever the token: all goes on once the operator has mended that.
    pub(super) async fn refuse_registration(&self, intent: Intent, refusal: &Refusal) -> Landing {
        let connection = &intent.connection.value;
        tracing::error!(
            provider = connection.provider.as_str(),
            status = refusal.status,
            code = refusal.code.as_str(),
            "The provider's token endpoint refuses hubkey's registration (client id, secret or key), also for a refresh \
             token that never was. Nobody's access is lost; it is renewed again once the registration is right."
        );
        Event::of(connection)
            .reason("registration_refused")
            .tell(What::ProviderFailed);
        self.rest(intent, Trouble::Misconfigured, None).await
    }

    async fn suspend(&self, intent: Intent, refusal: Refusal) -> Landing {
        let mut connection = intent.connection;
        let is_new = !matches!(intent.before, Renewal::Suspended { .. });
        connection.value.renewal = Renewal::Suspended {
            until: self.clock.now().after(SUSPENDED_FOR),
            recovery: self.recovery(&connection.value, &refusal).await?,
            refusal,
        };
        let put = self.put_connection(&connection).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.written(put).await?;
        if is_new {
            Event::of(&connection.value)
                .reason("refused")
                .tell(What::GrantSuspended);
        }
        Err(Missed::SignIn(SignInCause::NotRenewed))
    }

    /// Whether the refresh token of a suspended grant may be tried now.
    pub(super) async fn may_try_again(&self, connection: &Connection) -> Result<bool, StoreError> {
        let Renewal::Suspended { refusal, .. } = &connection.renewal else {
            return Ok(false);
        };
        let recovery = self.recovery(connection, refusal).await?;
        Ok(connection.renewal.may_try_again(self.clock.now(), recovery))
    }

    /// Which recovery of a grant that was refused in this way is known.
    async fn recovery(
        &self,
        connection: &Connection,
        refusal: &Refusal,
    ) -> Result<Option<u64>, StoreError> {
        let key = Key::recovery(&connection.provider, refusal);
        let known: Found<Recovery> = self.store.load(&key).await?;
        Ok(known.map(|known| known.value.mark))
    }

    /// A suspended grant was refreshed: the others that were refused in the same way may be tried again. If that cannot be
    /// noted, each is tried when its own hour is over.
    pub(super) async fn note_recovery(&self, connection: &Connection, before: &Renewal) {
        let Renewal::Suspended { refusal, .. } = before else {
            return;
        };
        let key = Key::recovery(&connection.provider, refusal);
        let recovery = Recovery {
            mark: self.chance.number(),
        };
        let put = |found: Found<Recovery>| {
            let expect = Loaded::expect_of(found.as_ref());
            Change::put(key.clone(), expect, &recovery, SUSPENDED_FOR)
        };
        if let Err(error) = self.store.amend(&key, TRIES, put).await {
            tracing::warn!(%error, "that a provider renews again could not be noted");
        }
    }

    /// A new sign-in takes the place of those suspended ones among a server's `others` that it would do for: their refresh tokens are
    /// deleted. The provider is not told, since some end all tokens of an account with one.
    pub(super) async fn replace_suspended(
        &self,
        connection: &Connection,
        others: &[ConnectionId],
    ) -> Result<(), StoreError> {
        for id in others {
            let found: Found<Connection> = self.store.load(&Key::connection(id)).await?;
            let Some(mut old) = found else {
                continue;
            };
            let gives_way = old.value.renewal.gives_way(self.clock.now())
                && old.value.is_of(&connection.kernel)
                && old.value.grant.account.sub == connection.grant.account.sub
                && connection.satisfies(&old.value.provider, &old.value.wish);
            if gives_way {
                old.value.end();
                let put = self.put_connection(&old).map(|put| vec![put]);
                let (Outcome::Done | Outcome::Conflict) = self.written(put).await?;
                Event::of(&old.value)
                    .reason("replaced")
                    .tell(What::TokenRevoked);
            }
        }
        Ok(())
    }
}

fn tell_operator(connection: &Connection, refusal: &Refusal, everybody: Option<bool>) {
    let whose = match everybody {
        Some(true) => "all",
        Some(false) => "this_token",
        None => "unknown",
    };
    tracing::warn!(
        provider = connection.provider.as_str(),
        status = refusal.status,
        code = refusal.code.as_str(),
        whose,
        "The provider's token endpoint refused a refresh in words that do not say that the grant is gone. Its person is \
         asked to sign in; `whose` says whether a refresh token that never was is refused in the same way."
    );
}
