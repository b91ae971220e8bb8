//! The key set of one provider, kept (SECURITY section 5.3).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hubkey_protocol::ProviderId;
use reqwest::StatusCode;
use url::Url;

use super::{
    IdpError,
    id_token::Fault,
    jwks::KeySet,
    jwt::{Claims, UnverifiedJwt},
    kept::Kept,
    outbound::{Answer, Endpoint, Outbound},
};
use crate::domain::clock::{Clock, Timestamp};

const SHORTEST: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_hours(24);
/// Where the provider does not say how long its keys keep.
const USUAL: Duration = Duration::from_hours(1);
/// A token can name any key: it causes one fetch in this time, however many there are.
const FORCED: Duration = Duration::from_secs(30);

/// Verifies signatures with one provider's keys.
#[derive(Debug)]
pub(super) struct Keyring {
    provider: ProviderId,
    kept: Kept<KeySet>,
    forced: Mutex<Option<Timestamp>>,
    clock: Arc<dyn Clock>,
}

impl Keyring {
    pub(super) fn new(provider: ProviderId, clock: Arc<dyn Clock>) -> Self {
        Self {
            provider,
            // Known keys outlive a provider's outage and its garbage, but not a leaked private key.
            kept: Kept::new(|failure| failure != IdpError::Misbehaved("jwks_private_key")),
            forced: Mutex::new(None),
            clock,
        }
    }

    /// The keys, fetched where they are not fresh.
    pub(super) async fn keys(
        &self,
        outbound: &Outbound,
        url: &Url,
    ) -> Result<Arc<KeySet>, IdpError> {
        let now = self.clock.now();
        self.kept.fresh(now, self.fetch(outbound, url)).await
    }

    /// The claims of a token signed with one of the keys. A key that is not there yet, or that was replaced under
    /// its old name, is worth one more look.
    pub(super) async fn verified(
        &self,
        outbound: &Outbound,
        url: &Url,
        token: &UnverifiedJwt<'_>,
    ) -> Result<Claims, IdpError> {
        let now = self.clock.now();
        let (seen, _) = self.kept.look(now);
        let keys = self.keys(outbound, url).await?;
        let fault = match verify(&keys, token) {
            Ok(claims) => return Ok(claims),
            Err(fault) => fault,
        };
        let fetch = self.fetch(outbound, url);
        let newer = self.kept.renew_if(seen, now, || self.may_force(now), fetch);
        match newer.await {
            Some(Ok(keys)) => Ok(verify(&keys, token)?),
            Some(Err(IdpError::Unavailable)) if fault == Fault::Key => Err(IdpError::Unavailable),
            Some(Err(_)) | None => Err(fault.into()),
        }
    }

    /// Whether the keys may be fetched ahead of time; if so, not again for a while.
    fn may_force(&self, now: Timestamp) -> bool {
        let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        let permitted = forced.is_none_or(|last| now < last || now >= last.after(FORCED));
        if permitted {
            *forced = Some(now);
        }
        permitted
    }

    async fn fetch(&self, outbound: &Outbound, url: &Url) -> Result<(KeySet, Duration), IdpError> {
        let answer = outbound.get(Endpoint::Jwks, url, None).await;
        let result = answer
            .map_err(IdpError::from)
            .and_then(|answer| read(&answer));
        metrics::counter!(
            "hubkey_jwks_refreshes_total",
            "provider" => self.provider.as_str().to_owned(),
            "outcome" => outcome(result.as_ref().err()),
        )
        .increment(1);
        if result.as_ref().err() == Some(&IdpError::Misbehaved("jwks_private_key")) {
            tracing::error!(
                provider = self.provider.as_str(),
                "The provider publishes a private key; none of its keys is trusted."
            );
        }
        result
    }
}

fn verify(keys: &KeySet, token: &UnverifiedJwt<'_>) -> Result<Claims, Fault> {
    token.verify(keys.find(token.kid(), token.algorithm())?)
}

fn read(answer: &Answer) -> Result<(KeySet, Duration), IdpError> {
    match answer.status {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(IdpError::Misbehaved("jwks_redirected")),
        _ => return Err(IdpError::Unavailable),
    }
    if !answer.is_json() {
        return Err(IdpError::Misbehaved("jwks_content_type"));
    }
    let lifetime = answer.max_age().unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
    Ok((KeySet::parse(&answer.body)?, lifetime))
}

fn outcome(failure: Option<&IdpError>) -> &'static str {
    match failure {
        None => "ok",
        Some(IdpError::Misbehaved(_)) => "refused",
        Some(_) => "unavailable",
    }
}
