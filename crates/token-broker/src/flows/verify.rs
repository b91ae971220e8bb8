//! What a refresh brought whose ID token cannot be judged yet, since its key is out of reach: the refresh token is the
//! connection's at once, the access token is held back until it is judged (OpenID Connect Core 1.0 section 12.2).

use std::sync::Arc;

use hubkey_protocol::{SignInCause, secret::RefreshToken};

use super::{
    Flows,
    attempt::Intent,
    flights::{Landing, Missed},
    refreshed::renewed,
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::{Connection, Unverified},
        renewal::{Renewal, Trouble},
    },
    idp::{Known, Refreshed, VerifyError},
    store::{Outcome, typed::Loaded},
};

impl Flows {
    /// The answer was good, and nobody can say yet whether it is for this grant.
    pub(super) async fn keep_unverified(
        self: &Arc<Self>,
        intent: Intent,
        (refresh_token, unverified): (Option<RefreshToken>, Unverified),
    ) -> Landing {
        let mut connection = intent.connection;
        let grant = &mut connection.value.grant;
        grant.refresh_token = refresh_token.or(grant.refresh_token.take());
        connection.value.unverified = Some(unverified);
        connection.value.renewal = Renewal::Idle.unverified_again(self.clock.now(), self.spread());
        if let Some(landing) = self.write_or_hold(&connection, intent.replaced).await {
            return landing;
        }
        self.note_recovery(&connection.value, &intent.before).await;
        Event::of(&connection.value)
            .reason("id_token_key_out_of_reach")
            .tell(What::ProviderFailed);
        Err(self.trouble(&connection.value.renewal, Trouble::Unavailable))
    }

    /// The answer was of no use but for the refresh token, which takes the place of the one that was sent.
    pub(super) async fn keep_refresh_token(
        self: &Arc<Self>,
        intent: Intent,
        refresh_token: RefreshToken,
    ) -> Landing {
        let mut connection = intent.connection;
        connection.value.grant.refresh_token = Some(refresh_token);
        connection.value.renewal = self.rest_again(&intent.before, Trouble::Misconfigured, None);
        if let Some(landing) = self.write_or_hold(&connection, intent.replaced).await {
            return landing;
        }
        Event::of(&connection.value)
            .reason("answer_unusable")
            .tell(What::ProviderFailed);
        Err(self.trouble(&connection.value.renewal, Trouble::Misconfigured))
    }

    /// Judges what was held back. The connection with it, where it is good; nothing where somebody else was faster.
    pub(super) async fn verify(
        &self,
        found: Loaded<Connection>,
    ) -> Result<Option<Arc<Connection>>, Missed> {
        let Some(provider) = self.provider(&found.value.provider).map(Arc::clone) else {
            return Err(Missed::SignIn(SignInCause::AccessEnded));
        };
        let mut found = found;
        let Some(unverified) = found.value.unverified.take() else {
            found.value.renewal = Renewal::Idle;
            return self.verified(found).await;
        };
        let grant = &found.value.grant;
        let known = Known {
            issuer: &grant.issuer,
            subject: &grant.account.sub,
            proof: &grant.proof,
        };
        match provider.verify(known, &unverified).await {
            Ok(issued_at) => {
                found.value.renewal = Renewal::Idle;
                found.value = with_judged(found.value, unverified, issued_at);
                self.verified(found).await
            }
            Err(VerifyError::NotYet) => {
                found.value.unverified = Some(unverified);
                self.still_unverified(found).await
            }
            Err(VerifyError::Foreign(word)) => {
                let refresh_token = found.value.grant.refresh_token.clone();
                let ended = self.end(found, What::IdentityConflict, word).await;
                provider
                    .revoke(&unverified.access_token, refresh_token.as_ref())
                    .await;
                ended.map(Some)
            }
        }
    }

    async fn verified(
        &self,
        judged: Loaded<Connection>,
    ) -> Result<Option<Arc<Connection>>, Missed> {
        let put = self.put_connection(&judged).map(|put| vec![put]);
        if self.written(put).await? == Outcome::Conflict {
            return Ok(None);
        }
        Event::of(&judged.value).tell(What::TokenRefreshed);
        Ok(Some(Arc::new(judged.value)))
    }

    /// The key is still not there.
    async fn still_unverified(
        &self,
        mut found: Loaded<Connection>,
    ) -> Result<Option<Arc<Connection>>, Missed> {
        let now = self.clock.now();
        found.value.renewal = found.value.renewal.unverified_again(now, self.spread());
        let put = self.put_connection(&found).map(|put| vec![put]);
        let (Outcome::Done | Outcome::Conflict) = self.written(put).await?;
        Err(self
            .resting(&found.value.renewal)
            .unwrap_or(Missed::InProgress))
    }
}

/// The connection with what was held back. A token for a part of what it may is asked for again by whoever wants it.
fn with_judged(
    mut connection: Connection,
    judged: Unverified,
    issued_at: Option<u64>,
) -> Connection {
    if judged.own {
        let refreshed = Refreshed {
            access_token: judged.access_token,
            refresh_token: None,
            obtained_at: judged.obtained_at,
            expires_at: judged.expires_at,
            scopes: judged.scopes,
            issued_at,
        };
        connection.grant = renewed(connection.grant, refreshed);
    } else {
        let proof = &mut connection.grant.proof;
        proof.issued_at = issued_at.unwrap_or(proof.issued_at);
    }
    connection
}
