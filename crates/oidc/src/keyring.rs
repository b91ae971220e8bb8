//! The key set of one provider, kept and rarely fetched, whatever a token names.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hubkey_domain::clock::{Clock, Timestamp};
use hubkey_protocol::{ProviderId, provider_rules::ProviderRule};
use reqwest::StatusCode;
use url::Url;

use crate::{
    IdpError,
    cached_document::CachedDocument,
    http_client::{Answer, Endpoint, HttpClient},
    jwks::KeySet,
    jwt::{Claims, UnverifiedJwt},
};

const SHORTEST: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_hours(24);
/// Where the provider does not say how long its keys keep.
const USUAL: Duration = Duration::from_hours(1);
/// A token can name any key: those of one origin cause one fetch in this time, however many there are.
const FORCED: Duration = Duration::from_secs(30);

/// How a token came here. What anybody can post has no share in the fetches of what the provider itself sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In an answer of the provider, over TLS.
    Provider,
    /// In a request that anybody can make.
    Anybody,
}

/// Why a signature is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotVerified {
    /// As it is told.
    pub(crate) error: IdpError,
    /// Whether that stands: the keys were looked up just now, and the one that the token names did not sign it. Else the
    /// right key may only be out of reach.
    pub(crate) for_good: bool,
}

impl From<NotVerified> for IdpError {
    fn from(reason: NotVerified) -> Self {
        reason.error
    }
}

/// When keys were last fetched ahead of time.
#[derive(Debug, Default)]
struct Forced {
    for_the_provider: Option<Timestamp>,
    for_anybody: Option<Timestamp>,
}

/// Verifies signatures with one provider's keys.
#[derive(Debug)]
pub(crate) struct Keyring {
    provider: ProviderId,
    cached: CachedDocument<KeySet>,
    forced: Mutex<Forced>,
    clock: Arc<dyn Clock>,
}

impl Keyring {
    pub(crate) fn new(provider: ProviderId, clock: Arc<dyn Clock>) -> Self {
        Self {
            provider,
            // Known keys outlive a provider's outage and its garbage, but not a leaked private key.
            cached: CachedDocument::new(|failure| {
                failure != IdpError::RuleBroken(ProviderRule::JwksPrivateKey)
            }),
            forced: Mutex::default(),
            clock,
        }
    }

    /// The keys, fetched where they are not fresh.
    pub(crate) async fn keys(&self, http: &HttpClient, url: &Url) -> Result<Arc<KeySet>, IdpError> {
        let now = self.clock.now();
        self.cached.fresh(now, self.fetch(http, url)).await
    }

    /// The claims of a token signed with one of the keys. A key that is not there yet, or that was replaced under
    /// its old name, is worth one more look.
    pub(crate) async fn verified(
        &self,
        http: &HttpClient,
        url: &Url,
        (token, origin): (&UnverifiedJwt<'_>, Origin),
    ) -> Result<Claims, NotVerified> {
        let not_now = |error| NotVerified {
            error,
            for_good: false,
        };
        let now = self.clock.now();
        let (seen, _) = self.cached.look(now);
        let keys = self.keys(http, url).await.map_err(not_now)?;
        let fault = match verify(&keys, token) {
            Ok(claims) => return Ok(claims),
            Err(fault) => fault,
        };
        let fetch = self.fetch(http, url);
        let permitted = || self.may_force(now, origin);
        match self.cached.renew_if(seen, now, permitted, fetch).await {
            Some(Ok(keys)) => verify(&keys, token).map_err(|fault| NotVerified {
                error: fault.into(),
                for_good: fault != ProviderRule::IdTokenKey,
            }),
            Some(Err(IdpError::Unavailable)) if fault == ProviderRule::IdTokenKey => {
                Err(not_now(IdpError::Unavailable))
            }
            Some(Err(_)) | None => Err(not_now(fault.into())),
        }
    }

    /// Whether the keys may be fetched ahead of time; if so, not again for a while.
    fn may_force(&self, now: Timestamp, origin: Origin) -> bool {
        let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        let last = match origin {
            Origin::Provider => &mut forced.for_the_provider,
            Origin::Anybody => &mut forced.for_anybody,
        };
        let permitted = last.is_none_or(|last| now < last || now >= last.after(FORCED));
        if permitted {
            *last = Some(now);
        }
        permitted
    }

    async fn fetch(&self, http: &HttpClient, url: &Url) -> Result<(KeySet, Duration), IdpError> {
        let answer = http.get(Endpoint::Jwks, url, None).await;
        let result = answer
            .map_err(IdpError::from)
            .and_then(|answer| read(&answer));
        metrics::counter!(
            "hubkey_jwks_refreshes_total",
            "provider" => self.provider.as_str().to_owned(),
            "outcome" => outcome(result.as_ref().err()),
        )
        .increment(1);
        if result.as_ref().err() == Some(&IdpError::RuleBroken(ProviderRule::JwksPrivateKey)) {
            tracing::error!(
                provider = self.provider.as_str(),
                "The provider publishes a private key; none of its keys is trusted."
            );
        }
        result
    }
}

fn verify(keys: &KeySet, token: &UnverifiedJwt<'_>) -> Result<Claims, ProviderRule> {
    for key in keys.candidates(token.kid(), token.algorithm())? {
        match token.verify(key) {
            Err(ProviderRule::IdTokenSignature) => {}
            verified => return verified,
        }
    }
    Err(ProviderRule::IdTokenSignature)
}

fn read(answer: &Answer) -> Result<(KeySet, Duration), IdpError> {
    match answer.status {
        StatusCode::OK => {}
        status if status.is_redirection() => {
            return Err(IdpError::RuleBroken(ProviderRule::JwksRedirected));
        }
        _ => return Err(IdpError::Unavailable),
    }
    if !answer.is_json() {
        return Err(IdpError::RuleBroken(ProviderRule::JwksContentType));
    }
    let lifetime = answer.max_age().unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
    Ok((KeySet::parse(&answer.body)?, lifetime))
}

fn outcome(failure: Option<&IdpError>) -> &'static str {
    match failure {
        None => "ok",
        Some(IdpError::RuleBroken(ProviderRule::AddressNotPermitted)) => "unavailable",
        Some(IdpError::RuleBroken(_)) => "refused",
        Some(_) => "unavailable",
    }
}
