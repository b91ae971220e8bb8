//! Authenticates kernels by their server token, with a short cache of the Hub's answers.
//!
//! | what the Hub said | remembered | where asked for at once ([`Freshness::Fresh`]) |
//! |---|---|---|
//! | a server's token | 30 s | asked again |
//! | unknown, or not a server's | 5 s | 5 s too |
//! | nothing (down, slow, nonsense) | never | never |
//!
//! One question at a time is under way for one token; who comes meanwhile waits for its answer. An answer is *fresh* for
//! those who came before its question was sent, which a counter decides, not the clock. Questions about one hub user
//! come at a pace: a loop in a notebook waits for its own turn, and all who came meanwhile share that question.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hubkey_domain::{
    clock::{Clock, Timestamp},
    identity::{HubUser, ServerIdentity},
};
use hubkey_protocol::secret::{ClientSecret, Secret, ServerToken};
use hubkey_store::keys::LookupMacKey;
use moka::future::Cache;

use super::{
    CreationTimeWarning, Freshness, KernelAuthenticator, KernelError,
    config::HubConfig,
    failure_limiter::FailureLimiter,
    http::{HubApi, HubFailure, Lane},
    server_token::identify_server,
    token_form::is_well_formed,
};
use crate::limits::Pacer;

const REMEMBER_KERNEL: Duration = Duration::from_secs(30);
const REMEMBER_REFUSAL: Duration = Duration::from_secs(5);
/// Longer than anything is remembered: by then an entry is empty in effect.
const FORGET_ENTRY_AFTER: Duration = Duration::from_mins(1);
const MAX_ENTRIES: u64 = 32_768;
/// For so long a token that was a kernel's is not counted as a guess.
const REMEMBER_VALID: Duration = Duration::from_hours(12);
const MAX_VALID: u64 = 131_072;
/// Questions about the servers of one hub user: so many at once, and after that one in each interval. Kernels that come
/// together share one; only who asks again and again waits.
const PER_USER: (u32, Duration) = (40, Duration::from_millis(200));

type Verdict = Result<ServerIdentity, KernelError>;
type Key = [u8; 32];

/// Asks the Hub who a kernel is.
#[derive(Debug)]
pub struct HubKernelAuthenticator {
    api: Arc<HubApi>,
    index: LookupMacKey,
    clock: Arc<dyn Clock>,
    server_scope: String,
    service_token: ClientSecret,
    entries: Cache<Key, Arc<CacheEntry>>,
    /// Tokens that were kernels' lately. They prove nothing; they only are no guesses, so a flood of guesses from
    /// the same address does not hold them up.
    recently_valid: Cache<Key, ()>,
    failure_limiter: FailureLimiter,
    creation_time_warning: CreationTimeWarning,
    /// Of those whom the Hub knew when it was asked last.
    pacer: Pacer<String>,
    count: AtomicU64,
}

/// What is remembered of one token.
#[derive(Debug, Default)]
struct CacheEntry {
    last: Mutex<Option<Arc<CachedVerdict>>>,
    /// Held while a question is under way.
    question: tokio::sync::Mutex<()>,
    /// The count when a question last failed.
    failed_at: AtomicU64,
}

/// A whole decision: the kernel with its server, not merely that the token is good.
#[derive(Debug)]
struct CachedVerdict {
    verdict: Verdict,
    asked_at: Timestamp,
    /// The count when the question was sent.
    asked: u64,
}

/// One call.
#[derive(Clone, Copy)]
struct Caller {
    freshness: Freshness,
    client: Option<IpAddr>,
    arrived: u64,
}

impl HubKernelAuthenticator {
    /// Recognises kernels by `config`'s kernel scope; `index` turns tokens into what is remembered of them.
    #[must_use]
    pub fn new(
        api: Arc<HubApi>,
        config: &HubConfig,
        index: LookupMacKey,
        clock: Arc<dyn Clock>,
    ) -> Self {
        if config.server_scope.is_empty() {
            tracing::warn!(
                setting = "hub.server_scope",
                "no kernel scope is asked for: a token that looks like a server's opens the kernel API"
            );
        }
        tracing::info!(
            "a server that was started before the Hub gave its token read:users!user is served, but shares nothing with \
             others: start it anew"
        );
        Self {
            api,
            index,
            failure_limiter: FailureLimiter::new(Arc::clone(&clock)),
            clock,
            server_scope: config.server_scope.clone(),
            service_token: config.api_token.clone(),
            entries: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .time_to_idle(FORGET_ENTRY_AFTER)
                .build(),
            recently_valid: Cache::builder()
                .max_capacity(MAX_VALID)
                .time_to_idle(REMEMBER_VALID)
                .build(),
            creation_time_warning: CreationTimeWarning::at("Spawner.server_token_scopes"),
            pacer: Pacer::new(PER_USER.0, PER_USER.1),
            count: AtomicU64::new(1),
        }
    }

    fn tick(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst)
    }

    /// The entry of the token. A guess from where too many failed gets none, so a flood of guesses displaces nobody's.
    async fn token_entry(
        &self,
        key: Key,
        client: Option<IpAddr>,
    ) -> Result<Arc<CacheEntry>, KernelError> {
        if let Some(token_entry) = self.entries.get(&key).await {
            return Ok(token_entry);
        }
        if !self.recently_valid.contains_key(&key)
            && self.failure_limiter.is_exhausted(client).await
        {
            return Err(KernelError::TooMany);
        }
        Ok(self.entries.get_with(key, async { Arc::default() }).await)
    }

    /// What is remembered, if it is fresh enough for the caller.
    fn cached(&self, token_entry: &CacheEntry, caller: Caller) -> Option<Verdict> {
        let last = token_entry
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = Arc::clone(last.as_ref()?);
        drop(last);
        let fresh = entry.asked > caller.arrived;
        let usable = match (&entry.verdict, caller.freshness) {
            (Ok(_), Freshness::Fresh) => fresh,
            (Ok(_), Freshness::Cached) => fresh || self.is_younger(&entry, REMEMBER_KERNEL),
            (Err(_), _) => fresh || self.is_younger(&entry, REMEMBER_REFUSAL),
        };
        usable.then(|| entry.verdict.clone())
    }

    fn is_younger(&self, entry: &CachedVerdict, than: Duration) -> bool {
        let now = self.clock.now();
        // An answer from the future is one from before the wall clock was set back: of unknown age.
        entry.asked_at <= now && entry.asked_at.until(now) < than
    }

    async fn query_coalesced(
        &self,
        token_entry: &CacheEntry,
        token: &ServerToken,
        caller: Caller,
    ) -> Verdict {
        let _question = token_entry.question.lock().await;
        if let Some(verdict) = self.cached(token_entry, caller) {
            return verdict;
        }
        if token_entry.failed_at.load(Ordering::SeqCst) > caller.arrived {
            return Err(KernelError::HubUnavailable);
        }
        if let Some(user) = token_entry.user() {
            self.pacer.wait(&user.as_str().to_owned()).await;
        }
        let entry = self.query(token, caller.client).await;
        match &entry {
            Ok(entry) => {
                let mut last = token_entry
                    .last
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *last = Some(Arc::clone(entry));
            }
            Err(KernelError::HubUnavailable) => {
                token_entry.failed_at.store(self.tick(), Ordering::SeqCst);
            }
            Err(_) => {}
        }
        entry?.verdict.clone()
    }

    /// Asks the Hub, if not too many guesses failed. An error is nothing that may be remembered.
    async fn query(
        &self,
        token: &ServerToken,
        client: Option<IpAddr>,
    ) -> Result<Arc<CachedVerdict>, KernelError> {
        let fingerprint = self.index.fingerprint(token);
        let key = *fingerprint.as_bytes();
        let slot = if self.recently_valid.contains_key(&key) {
            None
        } else {
            Some(
                self.failure_limiter
                    .acquire(client)
                    .await
                    .ok_or(KernelError::TooMany)?,
            )
        };
        let permit = self.api.acquire(Lane::Kernel).await;
        let (asked_at, asked) = (self.clock.now(), self.tick());
        let answer = match permit {
            Ok(permit) => permit.user(token).await,
            Err(failure) => Err(failure),
        };
        let verdict = match answer {
            Ok(model) => identify_server(&model, &self.server_scope).map(|(user, server)| {
                self.creation_time_warning.check(&user);
                ServerIdentity {
                    user,
                    server,
                    fingerprint,
                }
            }),
            Err(HubFailure::Refused) => Err(KernelError::Unknown),
            Err(_) => Err(KernelError::HubUnavailable),
        };
        self.remember_validity(key, &verdict).await;
        if let (Some(slot), Ok(_) | Err(KernelError::HubUnavailable)) = (slot, &verdict) {
            slot.refund();
        }
        match verdict {
            Err(KernelError::HubUnavailable) => Err(KernelError::HubUnavailable),
            verdict => Ok(Arc::new(CachedVerdict {
                verdict,
                asked_at,
                asked,
            })),
        }
    }

    async fn remember_validity(&self, key: Key, verdict: &Verdict) {
        match verdict {
            Ok(_) => self.recently_valid.insert(key, ()).await,
            Err(KernelError::HubUnavailable) => {}
            Err(_) => self.recently_valid.invalidate(&key).await,
        }
    }
}

impl CacheEntry {
    /// Whose token it was when the Hub was asked last.
    fn user(&self) -> Option<HubUser> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let kernel = last.as_ref()?.verdict.as_ref().ok()?;
        Some(kernel.user.clone())
    }
}

#[async_trait]
impl KernelAuthenticator for HubKernelAuthenticator {
    async fn authenticate(
        &self,
        token: &ServerToken,
        freshness: Freshness,
        client: Option<IpAddr>,
    ) -> Verdict {
        if !is_well_formed(token) {
            return Err(KernelError::Malformed);
        }
        let caller = Caller {
            freshness,
            client,
            arrived: self.tick(),
        };
        let key = *self.index.fingerprint(token).as_bytes();
        let token_entry = self.token_entry(key, client).await?;
        match self.cached(&token_entry, caller) {
            Some(verdict) => verdict,
            None => Box::pin(self.query_coalesced(&token_entry, token, caller)).await,
        }
    }

    fn is_service_token(&self, token: &ServerToken) -> bool {
        self.service_token
            .matches(&ClientSecret::new(token.expose()))
    }
}
