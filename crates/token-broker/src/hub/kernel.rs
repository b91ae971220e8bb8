//! Authenticates kernels by their server token, with a short cache of the Hub's answers.
//!
//! | what the Hub said | remembered | where asked for at once ([`Freshness::Asked`]) |
//! |---|---|---|
//! | a server's token | 30 s | asked again |
//! | unknown, or not a server's | 5 s | 5 s too |
//! | nothing (down, slow, nonsense) | never | never |
//!
//! One question at a time is under way for one token; who comes meanwhile waits for its answer. An answer is *fresh* for
//! those who came before its question was sent, which is told by counting, not by the clock. Questions about one hub user
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
    kernel::{HubUser, ServerIdentity},
};
use hubkey_protocol::secret::{ClientSecret, Secret, ServerToken};
use hubkey_store::keys::LookupMacKey;
use moka::future::Cache;

use super::{
    Freshness, KernelAuthenticator, KernelError, Unsaid,
    config::HubConfig,
    failures::Failures,
    http::{HubApi, HubFailure, Lane},
    server_token::server_of,
    token_form::is_well_formed,
};
use crate::limits::Pace;

const REMEMBER_KERNEL: Duration = Duration::from_secs(30);
const REMEMBER_REFUSAL: Duration = Duration::from_secs(5);
/// Longer than anything is remembered: by then a slot is empty in effect.
const FORGET_SLOT_AFTER: Duration = Duration::from_mins(1);
const MAX_SLOTS: u64 = 32_768;
/// For so long a token that was a kernel's is not counted as a guess.
const PROVEN_FOR: Duration = Duration::from_hours(12);
const MAX_PROVEN: u64 = 131_072;
/// Questions about the servers of one hub user: so many at once, and after that one in each interval. Kernels that come
/// together share one; only who asks again and again waits.
const OF_ONE_USER: (u32, Duration) = (40, Duration::from_millis(200));

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
    slots: Cache<Key, Arc<Slot>>,
    /// Tokens that were kernels' lately. They prove nothing; they only are no guesses, so a flood of guesses from
    /// the same address does not hold them up.
    proven: Cache<Key, ()>,
    failures: Failures,
    unsaid: Unsaid,
    /// Of those whom the Hub knew when it was asked last.
    pace: Pace<String>,
    count: AtomicU64,
}

/// What is remembered of one token.
#[derive(Debug, Default)]
struct Slot {
    last: Mutex<Option<Arc<Entry>>>,
    /// Held while a question is under way.
    question: tokio::sync::Mutex<()>,
    /// The count when a question last came to nothing.
    came_to_nothing: AtomicU64,
}

/// A whole decision: the kernel with its server, not merely that the token is good.
#[derive(Debug)]
struct Entry {
    verdict: Verdict,
    asked_at: Timestamp,
    /// The count when the question was sent.
    asked: u64,
}

/// One call.
#[derive(Clone, Copy)]
struct Caller {
    freshness: Freshness,
    peer: Option<IpAddr>,
    came: u64,
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
            failures: Failures::new(Arc::clone(&clock)),
            clock,
            server_scope: config.server_scope.clone(),
            service_token: config.api_token.clone(),
            slots: Cache::builder()
                .max_capacity(MAX_SLOTS)
                .time_to_idle(FORGET_SLOT_AFTER)
                .build(),
            proven: Cache::builder()
                .max_capacity(MAX_PROVEN)
                .time_to_idle(PROVEN_FOR)
                .build(),
            unsaid: Unsaid::at("Spawner.server_token_scopes"),
            pace: Pace::new(OF_ONE_USER.0, OF_ONE_USER.1),
            count: AtomicU64::new(1),
        }
    }

    fn tick(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst)
    }

    /// The token's slot. A guess from where too many failed gets none, so a flood of guesses displaces nobody's.
    async fn slot(&self, key: Key, peer: Option<IpAddr>) -> Result<Arc<Slot>, KernelError> {
        if let Some(slot) = self.slots.get(&key).await {
            return Ok(slot);
        }
        if !self.proven.contains_key(&key) && self.failures.is_exhausted(peer).await {
            return Err(KernelError::TooMany);
        }
        Ok(self.slots.get_with(key, async { Arc::default() }).await)
    }

    /// What is remembered, if it is fresh enough for the caller.
    fn remembered(&self, slot: &Slot, caller: Caller) -> Option<Verdict> {
        let last = slot.last.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Arc::clone(last.as_ref()?);
        drop(last);
        let fresh = entry.asked > caller.came;
        let usable = match (&entry.verdict, caller.freshness) {
            (Ok(_), Freshness::Asked) => fresh,
            (Ok(_), Freshness::Cached) => fresh || self.is_younger(&entry, REMEMBER_KERNEL),
            (Err(_), _) => fresh || self.is_younger(&entry, REMEMBER_REFUSAL),
        };
        usable.then(|| entry.verdict.clone())
    }

    fn is_younger(&self, entry: &Entry, than: Duration) -> bool {
        let now = self.clock.now();
        // An answer from the future is one from before the wall clock was set back: of unknown age.
        entry.asked_at <= now && entry.asked_at.until(now) < than
    }

    async fn ask_in_turn(&self, slot: &Slot, token: &ServerToken, caller: Caller) -> Verdict {
        let _question = slot.question.lock().await;
        if let Some(verdict) = self.remembered(slot, caller) {
            return verdict;
        }
        if slot.came_to_nothing.load(Ordering::SeqCst) > caller.came {
            return Err(KernelError::HubUnavailable);
        }
        if let Some(user) = slot.user() {
            self.pace.turn(&user.as_str().to_owned()).await;
        }
        let entry = self.ask(token, caller.peer).await;
        match &entry {
            Ok(entry) => {
                let mut last = slot.last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(Arc::clone(entry));
            }
            Err(KernelError::HubUnavailable) => {
                slot.came_to_nothing.store(self.tick(), Ordering::SeqCst);
            }
            Err(_) => {}
        }
        entry?.verdict.clone()
    }

    /// Asks the Hub, if not too many guesses failed. An error is nothing that may be remembered.
    async fn ask(
        &self,
        token: &ServerToken,
        peer: Option<IpAddr>,
    ) -> Result<Arc<Entry>, KernelError> {
        let fingerprint = self.index.fingerprint(token);
        let key = *fingerprint.as_bytes();
        let place = if self.proven.contains_key(&key) {
            None
        } else {
            Some(
                self.failures
                    .place(peer)
                    .await
                    .ok_or(KernelError::TooMany)?,
            )
        };
        let turn = self.api.turn(Lane::Kernel).await;
        let (asked_at, asked) = (self.clock.now(), self.tick());
        let answer = match turn {
            Ok(turn) => turn.user(token).await,
            Err(failure) => Err(failure),
        };
        let verdict = match answer {
            Ok(model) => server_of(&model, &self.server_scope).map(|(user, server)| {
                self.unsaid.look_at(&user);
                ServerIdentity {
                    user,
                    server,
                    fingerprint,
                }
            }),
            Err(HubFailure::Refused) => Err(KernelError::Unknown),
            Err(_) => Err(KernelError::HubUnavailable),
        };
        self.learn(key, &verdict).await;
        if let (Some(place), Ok(_) | Err(KernelError::HubUnavailable)) = (place, &verdict) {
            place.give_back();
        }
        match verdict {
            Err(KernelError::HubUnavailable) => Err(KernelError::HubUnavailable),
            verdict => Ok(Arc::new(Entry {
                verdict,
                asked_at,
                asked,
            })),
        }
    }

    async fn learn(&self, key: Key, verdict: &Verdict) {
        match verdict {
            Ok(_) => self.proven.insert(key, ()).await,
            Err(KernelError::HubUnavailable) => {}
            Err(_) => self.proven.invalidate(&key).await,
        }
    }
}

impl Slot {
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
        peer: Option<IpAddr>,
    ) -> Verdict {
        if !is_well_formed(token) {
            return Err(KernelError::Malformed);
        }
        let caller = Caller {
            freshness,
            peer,
            came: self.tick(),
        };
        let key = *self.index.fingerprint(token).as_bytes();
        let slot = self.slot(key, peer).await?;
        match self.remembered(&slot, caller) {
            Some(verdict) => verdict,
            None => Box::pin(self.ask_in_turn(&slot, token, caller)).await,
        }
    }

    fn is_the_hub(&self, token: &ServerToken) -> bool {
        self.service_token
            .matches(&ClientSecret::new(token.expose()))
    }
}
