//! The use cases, one file each, with their collaborators as traits. No axum, no redis, no reqwest.

pub mod acknowledge;
mod admission;
mod attempt;
pub mod backchannel_logout;
mod browser;
pub mod callback;
pub mod cancel;
pub mod confirm;
pub mod connections;
pub mod r#continue;
pub mod create_sign_in;
mod ending;
pub mod exchange;
pub mod failure;
mod flights;
mod giving_back;
pub mod hub_callback;
mod identity;
mod joining;
mod judge;
mod leaving;
mod limits;
pub mod my_connections;
mod pages;
pub mod policy;
pub mod providers;
mod refresh;
mod refreshed;
mod refusals;
mod scoped;
pub mod server_ended;
mod settle;
mod sharing;
pub mod sign_in_status;
pub mod sign_out;
pub mod site;
mod spans;
pub mod start;
mod step_up;
mod suspended;
mod target;
pub mod token;
mod user_index;
mod userinfo;
mod verify;
pub mod view;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use hubkey_protocol::{
    Nonce, ProviderId,
    internal::{BrowserAnswer, BrowserReply, Refusal},
    secret::{Secret, ServerToken},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::domain::sign_in::SignIn;
use crate::{
    audit::{Event, What},
    domain::{
        chance::Chance,
        clock::{Clock, Timestamp},
        kernel::Kernel,
        keyed_hash::KeyedHash,
        renewal::RenewalTimes,
        user_index::OpenLimits,
    },
    hub::{BrowserAuthenticator, Freshness, KernelAuthenticator, KernelError, failures::Failures},
    idp::IdentityProvider,
    keys::IndexKey,
    store::{
        Change, Key, Store, StoreError,
        typed::{Loaded, TypedStore},
    },
};
use failure::KernelFailure;
pub use flights::Flights;
pub use limits::Limits;

/// The use cases with everything that they ask.
#[derive(Debug)]
pub struct Flows {
    /// Where records live.
    pub store: Arc<dyn Store>,
    /// Recognises kernels.
    pub kernels: Arc<dyn KernelAuthenticator>,
    /// Recognises browsers.
    pub browsers: Arc<dyn BrowserAuthenticator>,
    /// In the operator's order.
    pub providers: Providers,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Hides what is looked up.
    pub index_key: IndexKey,
    /// What the operator set.
    pub rules: Rules,
    /// One permit for each poll that may wait at a time.
    pub polls: Arc<Semaphore>,
    /// Ends long polls when the process is to end.
    pub stopping: CancellationToken,
    /// Refreshes that are under way in this process.
    pub flights: Flights,
    /// Logout tokens that were none.
    pub logout_failures: Failures,
    /// What others may cost the Hub and the providers.
    pub limits: Limits,
}

/// The configured providers, in order and by id.
#[derive(Debug, Default)]
pub struct Providers {
    order: Vec<ProviderId>,
    by_id: BTreeMap<ProviderId, Arc<dyn IdentityProvider>>,
}

impl Providers {
    /// Those providers, in this order.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn IdentityProvider>>) -> Self {
        let order = providers
            .iter()
            .map(|provider| provider.config().id.clone())
            .collect();
        let by_id = providers
            .into_iter()
            .map(|provider| (provider.config().id.clone(), provider))
            .collect();
        Self { order, by_id }
    }

    /// The provider of that id.
    #[must_use]
    pub fn get(&self, id: &ProviderId) -> Option<&Arc<dyn IdentityProvider>> {
        self.by_id.get(id)
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn IdentityProvider>> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    /// The one provider, where there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&Arc<dyn IdentityProvider>> {
        match self.order.as_slice() {
            [id] => self.by_id.get(id),
            _ => None,
        }
    }
}

/// What the operator set.
#[derive(Debug, Clone)]
pub struct Rules {
    /// callback-server as browsers see it, without a trailing slash.
    pub public_url: String,
    /// Whether that is a path on the hub's own origin.
    pub shared_origin: bool,
    /// What to do with servers that other people may enter.
    pub shared_servers: SharedServers,
    /// How long a sign-in, its ticket, flow and states live.
    pub sign_in_life: Duration,
    /// How long a connection lives without a kernel that uses it.
    pub connection_life: Duration,
    /// The times of refreshes.
    pub renewal: RenewalTimes,
    /// How long a pin lives without a sign-in.
    pub pin_life: Duration,
    /// How long one poll waits.
    pub poll_hold: Duration,
    /// How often a waiting poll reads again without being woken.
    pub poll_safety: Duration,
    /// How often who waits for another's refresh reads again without being woken.
    pub refresh_safety: Duration,
    /// How long a result is repeated to a kernel that does not acknowledge.
    pub redelivery: Duration,
    /// How many sign-ins one hub user may open.
    pub open: OpenLimits,
    /// Names and look of the pages.
    pub site: hubkey_protocol::internal::Site,
}

/// What to do with servers that people other than their owner may enter (SECURITY D9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedServers {
    /// Treat them as any other; the Hub is not asked.
    Allow,
    /// Say so on the confirmation page and in the audit stream.
    Warn,
    /// Open no sign-in there.
    Deny,
}

/// A kernel request's proof, and where it came from.
#[derive(Debug)]
pub struct Asker {
    /// The token.
    pub token: ServerToken,
    /// The address.
    pub peer: Option<IpAddr>,
}

/// How long a finished sign-in's record outlives its end, so that its kernel learns how it ended.
const AFTERLIFE: Duration = Duration::from_mins(3);

impl Flows {
    async fn kernel(&self, asker: &Asker, freshness: Freshness) -> Result<Kernel, KernelFailure> {
        let kernel = self
            .kernels
            .authenticate(&asker.token, freshness, asker.peer)
            .await;
        Ok(kernel.inspect_err(|error| self.tell_refused(*error, asker))?)
    }

    fn provider(&self, id: &ProviderId) -> Option<&Arc<dyn IdentityProvider>> {
        self.providers.get(id)
    }

    /// The keyed hash of a secret, to keep or to compare.
    fn fingerprint(&self, purpose: &str, secret: &impl Secret) -> KeyedHash {
        KeyedHash::new(self.index_key.hash(purpose, secret.expose().as_bytes()))
    }

    async fn sign_in(&self, nonce: &Nonce) -> Result<Option<Loaded<SignIn>>, StoreError> {
        let found = self.store.load::<SignIn>(&Key::sign_in(nonce)).await?;
        Ok(found.inspect(|loaded| joining::join(&loaded.value)))
    }

    /// A sign-in that a person may still finish.
    async fn open_sign_in(&self, nonce: &Nonce) -> Result<Option<Loaded<SignIn>>, StoreError> {
        let now = self.clock.now();
        let found = self.sign_in(nonce).await?;
        Ok(found.filter(|loaded| loaded.value.is_open() && !loaded.value.is_expired(now)))
    }

    /// The change that writes a sign-in after a transition. Its record outlives its end, so that its kernel learns how
    /// it ended.
    fn put_sign_in(&self, moved: &Loaded<SignIn>) -> Result<Change, StoreError> {
        let sign_in = &moved.value;
        let life = if sign_in.is_open() {
            self.life_of(sign_in.expires_at)
        } else {
            self.rules.redelivery + AFTERLIFE
        };
        Change::put(Key::sign_in(&sign_in.nonce), moved.expect(), sign_in, life)
    }

    /// How long the record of a sign-in that ends at `end` has to live.
    fn life_of(&self, end: Timestamp) -> Duration {
        self.clock.now().until(end) + AFTERLIFE
    }

    /// A refusal that the browser sees and the audit stream explains.
    fn refuse(&self, refusal: Refusal, what: What, event: Event<'_>) -> BrowserReply {
        let reference = self.chance.reference();
        self.limits.refusals.tell(event.reference(&reference), what);
        reply(BrowserAnswer::Refused { refusal, reference })
    }

    /// The answer when the store fails in a browser's step.
    #[must_use]
    pub fn store_failed(&self, error: &StoreError) -> BrowserReply {
        let what = match error {
            StoreError::Unsealable => What::AeadFailure,
            StoreError::Unavailable(_) | StoreError::Malformed | StoreError::KeyRetired(_) => {
                What::PolicyDenied
            }
        };
        self.refuse(
            Refusal::Unavailable,
            what,
            Event::new().reason("store_failed"),
        )
    }

    fn hub_unavailable(&self, source: Option<&str>) -> BrowserReply {
        let event = Event::new().source(source).reason("hub_unavailable");
        self.refuse(Refusal::Unavailable, What::HubMismatch, event)
    }

    /// A token that the Hub knows and that is no kernel's is somebody's attempt, or the operator's mistake. What the Hub
    /// does not know is told by its measurements only: guesses would flood the audit stream.
    fn tell_refused(&self, error: KernelError, asker: &Asker) {
        let reason = match error {
            KernelError::NotAServerToken => "not_a_server_token",
            KernelError::MissingKernelScope => "missing_kernel_scope",
            KernelError::Malformed
            | KernelError::Unknown
            | KernelError::TooMany
            | KernelError::HubUnavailable => return,
        };
        let source = asker.peer.map(|peer| peer.to_string());
        let event = Event::new().source(source.as_deref()).reason(reason);
        self.limits.refusals.tell(event, What::PolicyDenied);
    }
}

/// An answer that touches no cookie.
fn reply(answer: BrowserAnswer) -> BrowserReply {
    BrowserReply {
        answer,
        set_cookie: None,
        clear_cookie: None,
    }
}
