//! What a provider granted is judged, and then kept or given back. Whatever fails, no grant is left alive that nobody has.

use std::time::Duration;

use hubkey_protocol::{
    ConnectionId,
    internal::{BrowserAnswer, BrowserReply},
    secret::HubAccessToken,
};
use hubkey_service::telemetry::UserName;
use tokio::time::sleep;

use super::{
    Flows,
    browser::Browser,
    ending::Ending,
    identity::{OF_ANOTHER, Pinned, Verdict, grant},
    reply,
};
use crate::{
    audit::{Event, What},
    domain::{
        connection::Candidate,
        sign_in::{SignIn, SignInState},
    },
    idp::Granted,
    store::{Change, Key, Outcome, RetiredKey, StoreError, typed::Loaded},
};

/// How often the store is asked what became of a grant, and how long after each time that it did not say.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// Of a record that was created and not changed since.
const FIRST_GENERATION: u64 = 1;

/// The store failed before it was known to have what was granted.
pub(super) struct Undone {
    /// How.
    pub(super) error: StoreError,
    left: Left,
}

/// Where the grant is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nowhere that somebody was told of.
    Nowhere,
    /// Perhaps in the sign-in: nobody knows whether that was written.
    Perhaps,
    /// It is given back.
    GivenBack,
}

impl Undone {
    /// Nobody has the grant.
    pub(super) fn unwritten(error: StoreError) -> Self {
        let left = Left::Nowhere;
        Self { error, left }
    }

    /// The sign-in may have it.
    pub(super) fn unknown(error: StoreError) -> Self {
        let left = Left::Perhaps;
        Self { error, left }
    }

    fn given_back(error: StoreError) -> Self {
        let left = Left::GivenBack;
        Self { error, left }
    }
}

/// A grant of which the store did not say that it has it.
struct Loose<'a> {
    browser: Browser<'a>,
    exchanging: Loaded<SignIn>,
    candidate: Candidate,
}

/// What became of it.
enum Fate {
    /// The sign-in has it.
    Kept,
    /// The sign-in ended without it, and this is what its person sees.
    Ended(Box<BrowserReply>),
    /// It can be nowhere any more.
    Nowhere,
}

impl Flows {
    /// Applies the identity policy to what a provider granted.
    pub(super) async fn judge(
        &self,
        browser: Browser<'_>,
        exchanging: Loaded<SignIn>,
        granted: Granted,
        hub_token: HubAccessToken,
    ) -> Result<BrowserReply, StoreError> {
        let verdict = self.verdict(&exchanging.value, &granted).await;
        let replaces = matches!(verdict, Ok(Verdict::Ask { replaces: true }));
        let candidate = Candidate {
            connection: self.chance.connection_id(),
            grant: grant(granted),
            replaces_account: replaces,
        };
        let loose = Loose {
            browser: browser.clone(),
            exchanging: exchanging.clone(),
            candidate: candidate.clone(),
        };
        let done = match verdict {
            Ok(Verdict::Ask { .. }) => self.ask(browser, exchanging, candidate, hub_token).await,
            Ok(verdict) => self.judged(browser, exchanging, candidate, verdict).await,
            Err(error) => Err(Undone::unwritten(error)),
        };
        match done {
            Ok(reply) => Ok(reply),
            // On the heap: it is rare, and long.
            Err(undone) => Box::pin(self.undone(loose, undone)).await,
        }
    }

    async fn judged(
        &self,
        browser: Browser<'_>,
        exchanging: Loaded<SignIn>,
        candidate: Candidate,
        verdict: Verdict,
    ) -> Result<BrowserReply, Undone> {
        let refused = match verdict {
            Verdict::Refused(word) => Ending::account(word),
            Verdict::OwnerUnreadable(retired) => {
                self.owner_unreadable(&exchanging.value, &candidate, retired)
            }
            Verdict::Fits | Verdict::Ask { .. } => {
                let pinned = self.renew_pin(&exchanging.value, &candidate.grant).await;
                match pinned.map_err(Undone::unwritten)? {
                    Pinned::Done => return self.settle(browser, exchanging, candidate).await,
                    refused => self.not_pinned(&exchanging.value, &candidate, refused),
                }
            }
        };
        self.refuse_candidate(browser, exchanging, candidate, refused)
            .await
            .map_err(Undone::given_back)
    }

    /// How a sign-in ends whose account was not pinned.
    pub(super) fn not_pinned(
        &self,
        sign_in: &SignIn,
        candidate: &Candidate,
        pinned: Pinned,
    ) -> Ending {
        match pinned {
            Pinned::OwnerUnreadable(retired) => self.owner_unreadable(sign_in, candidate, retired),
            Pinned::OfAnother | Pinned::Done => Ending::account(OF_ANOTHER),
        }
    }

    /// Tells the operator who cannot sign in any more, and what to do.
    fn owner_unreadable(
        &self,
        sign_in: &SignIn,
        candidate: &Candidate,
        retired: RetiredKey,
    ) -> Ending {
        let reference = self.chance.reference();
        let grant = &candidate.grant;
        let record = Key::owner(&grant.issuer, &grant.account.sub);
        tracing::error!(
            user = %UserName(sign_in.kernel.user.as_str()),
            provider = sign_in.provider.as_str(),
            key_id = %retired.key,
            record = self.store.record_name(&record),
            reference = reference.as_str(),
            "a hub user was refused, because whose their account is was sealed with a key that is held no more: put that \
             key back, after the first of `keys.sealing_files`, until they have signed in; or, where the account is theirs, \
             delete this record from Redis, and they are asked to confirm once more"
        );
        Ending::owner_unreadable(retired.key, reference)
    }

    /// The account is another hub user's, or does not fit this one: its tokens are given back.
    pub(super) async fn refuse_candidate(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        candidate: Candidate,
        ending: Ending,
    ) -> Result<BrowserReply, StoreError> {
        let (kernel, nonce) = (loaded.value.kernel.clone(), loaded.value.nonce.clone());
        let provider = loaded.value.provider.clone();
        let reply = self.end_with_page(browser, loaded, ending).await;
        // After the sign-in, in which it may have waited for its person.
        let event = Event::new().kernel(&kernel).provider(&provider);
        event.sign_in(&nonce).tell(What::TokenRevoked);
        self.give_back_grant(&provider, &candidate.connection, candidate.grant)
            .await;
        reply
    }

    /// The store failed somewhere between the provider's answer and the end of the step. What was granted is found again
    /// in the sign-in, or goes back. Where the store still does not say whether the sign-in has it, it is left: it may be
    /// in use.
    async fn undone(&self, loose: Loose<'_>, undone: Undone) -> Result<BrowserReply, StoreError> {
        let Undone { error, left } = undone;
        if left == Left::GivenBack {
            return Err(error);
        }
        let source = loose.browser.source;
        let flow = loose.browser.short.clone();
        let answer = match self.fate(&loose).await {
            Ok(Fate::Kept) => return Ok(reply(BrowserAnswer::View { flow })),
            Ok(Fate::Ended(page)) => Ok(*page),
            Ok(Fate::Nowhere) => Ok(self.forbidden(source, "moved_meanwhile")),
            Err(again) if left == Left::Perhaps => {
                tracing::warn!(error = %again, "nobody knows whether what a provider granted was stored; it is left");
                return Err(error);
            }
            Err(_) => Err(error),
        };
        let Candidate {
            connection, grant, ..
        } = loose.candidate;
        self.forget(&connection).await;
        self.revoke(&loose.exchanging.value, &connection, grant)
            .await;
        answer
    }

    /// Looks for the grant until the store answers, and ends the sign-in where that does not have it: then what may still
    /// be on its way to the store comes too late.
    async fn fate(&self, loose: &Loose<'_>) -> Result<Fate, StoreError> {
        let mut tries = 0;
        loop {
            match self.fate_now(loose).await {
                Ok(Some(fate)) => return Ok(fate),
                Ok(None) if tries == TRIES => return Ok(Fate::Nowhere),
                Err(error) if tries == TRIES => return Err(error),
                Ok(None) => {}
                Err(_) => sleep(PAUSE).await,
            }
            tries += 1;
        }
    }

    /// Nothing where the sign-in moves while it is looked at.
    async fn fate_now(&self, loose: &Loose<'_>) -> Result<Option<Fate>, StoreError> {
        let before = &loose.exchanging;
        let Some(now) = self.sign_in(&before.value.nonce).await? else {
            return Ok(Some(Fate::Nowhere));
        };
        if has(&now.value.state, &loose.candidate.connection) {
            return Ok(Some(Fate::Kept));
        }
        if now.generation != before.generation {
            return Ok(Some(Fate::Nowhere));
        }
        let (browser, ending) = (loose.browser.clone(), Ending::store_unavailable());
        let ended = self.end_unless_moved(browser, now, ending).await?;
        Ok(ended.map(|page| Fate::Ended(Box::new(page))))
    }

    /// Removes the record of a connection that nobody was told of. Left behind, it ends by itself, and its tokens are
    /// revoked.
    pub(super) async fn forget(&self, id: &ConnectionId) {
        let delete = Change::delete(Key::connection(id), FIRST_GENERATION);
        match self.store.commit(vec![delete]).await {
            Ok(Outcome::Done | Outcome::Conflict) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection that nobody has stays in the store until it ends");
            }
        }
    }
}

/// Whether a sign-in has the grant that was to become this connection.
fn has(state: &SignInState, id: &ConnectionId) -> bool {
    match state {
        SignInState::Confirming { candidate, .. } => candidate.connection == *id,
        SignInState::Ready { connection } | SignInState::Delivered { connection, .. } => {
            connection == id
        }
        // Only one that was delivered is closed.
        SignInState::Closed => true,
        _ => false,
    }
}
