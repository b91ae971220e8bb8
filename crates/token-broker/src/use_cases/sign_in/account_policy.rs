//! The account policy is applied to a grant, which is then kept or revoked. Whatever fails, no grant is left alive that
//! nobody has.

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    connection::PendingConnection,
    random::RandomSource,
    sign_in::{SignIn, SignInState},
};
use hubkey_oidc::Granted;
use hubkey_protocol::{
    ConnectionId,
    internal::{BrowserAnswer, BrowserReply},
    secret::HubAccessToken,
};
use hubkey_service::telemetry::UserName;
use hubkey_store::{Key, RetiredKey, Store, StoreError, typed::Loaded};
use tokio::time::sleep;

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        browser::{
            error_pages::{ErrorPages, reply},
            flow::Browser,
        },
        common::Common,
        connections::revocation::Revocation,
        records::{Records, connections::ConnectionRecords, sign_ins::SignInRecords},
        sign_in::{
            account_link::{ACCOUNT_OF_ANOTHER, AccountLinks, LinkOutcome, Verdict, grant_of},
            complete::CompleteSignIn,
            ending::{SignInEndings, SignInOutcome},
            unstored_grant::{GrantLocation, UnstoredGrant},
        },
    },
};

/// How often the store is asked what became of a grant, and how long after each time that it did not say.
const MAX_ATTEMPTS: usize = 3;

const RETRY_PAUSE: Duration = Duration::from_millis(300);

/// A grant of which the store did not say that it has it.
struct AttemptedGrant<'a> {
    browser: Browser<'a>,
    exchanging: Loaded<SignIn>,
    candidate: PendingConnection,
}

/// What became of it.
enum StoredState {
    /// The sign-in has it.
    InSignIn,
    /// The sign-in ended without it, and this is what its person sees.
    Ended(Box<BrowserReply>),
    /// It can be nowhere any more.
    Nowhere,
}

/// Applies the account policy to a grant.
#[derive(Debug)]
pub(crate) struct AccountPolicy {
    store: Arc<dyn Store>,
    chance: Arc<dyn RandomSource>,
    account_links: Arc<AccountLinks>,
    complete: Arc<CompleteSignIn>,
    connections: Arc<ConnectionRecords>,
    endings: Arc<SignInEndings>,
    error_pages: Arc<ErrorPages>,
    revocation: Arc<Revocation>,
    sign_ins: Arc<SignInRecords>,
}

impl AccountPolicy {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        complete: &Arc<CompleteSignIn>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            chance: Arc::clone(&base.chance),
            account_links: Arc::clone(&common.account_links),
            complete: Arc::clone(complete),
            connections: Arc::clone(&records.connections),
            endings: Arc::clone(&common.endings),
            error_pages: Arc::clone(&common.error_pages),
            revocation: Arc::clone(&common.revocation),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Applies the identity policy to what a provider granted.
    pub(crate) async fn apply(
        &self,
        browser: Browser<'_>,
        exchanging: Loaded<SignIn>,
        granted: Granted,
        hub_token: HubAccessToken,
    ) -> Result<BrowserReply, StoreError> {
        let verdict = self
            .account_links
            .verdict(&exchanging.value, &granted)
            .await;
        let replaces = matches!(verdict, Ok(Verdict::Ask { replaces: true }));
        let candidate = PendingConnection {
            connection: self.chance.connection_id(),
            grant: grant_of(granted),
            replaces_account: replaces,
        };
        let attempted = AttemptedGrant {
            browser: browser.clone(),
            exchanging: exchanging.clone(),
            candidate: candidate.clone(),
        };
        let done = match verdict {
            Ok(Verdict::Ask { .. }) => {
                self.complete
                    .ask_for_confirmation(browser, exchanging, candidate, hub_token)
                    .await
            }
            Ok(verdict) => {
                self.apply_verdict(browser, exchanging, candidate, verdict)
                    .await
            }
            Err(error) => Err(UnstoredGrant::unwritten(error)),
        };
        match done {
            Ok(reply) => Ok(reply),
            // On the heap: it is rare, and long.
            Err(unstored) => Box::pin(self.recover(attempted, unstored)).await,
        }
    }

    async fn apply_verdict(
        &self,
        browser: Browser<'_>,
        exchanging: Loaded<SignIn>,
        candidate: PendingConnection,
        verdict: Verdict,
    ) -> Result<BrowserReply, UnstoredGrant> {
        let refused = match verdict {
            Verdict::Refused(word) => SignInOutcome::account(word),
            Verdict::OwnerUnreadable(retired) => {
                self.owner_unreadable(&exchanging.value, &candidate, retired)
            }
            Verdict::Fits | Verdict::Ask { .. } => {
                let linked = self
                    .account_links
                    .renew_link(&exchanging.value, &candidate.grant)
                    .await;
                match linked.map_err(UnstoredGrant::unwritten)? {
                    LinkOutcome::Done => {
                        return self.complete.connect(browser, exchanging, candidate).await;
                    }
                    refused => self.not_linked(&exchanging.value, &candidate, refused),
                }
            }
        };
        self.refuse_candidate(browser, exchanging, candidate, refused)
            .await
            .map_err(UnstoredGrant::revoked)
    }

    /// How a sign-in ends whose account was not linked.
    pub(crate) fn not_linked(
        &self,
        sign_in: &SignIn,
        candidate: &PendingConnection,
        linked: LinkOutcome,
    ) -> SignInOutcome {
        match linked {
            LinkOutcome::OwnerUnreadable(retired) => {
                self.owner_unreadable(sign_in, candidate, retired)
            }
            LinkOutcome::OwnedByOther | LinkOutcome::Done => {
                SignInOutcome::account(ACCOUNT_OF_ANOTHER)
            }
        }
    }

    /// Logs for the operator who cannot sign in any more, and what to do.
    fn owner_unreadable(
        &self,
        sign_in: &SignIn,
        candidate: &PendingConnection,
        retired: RetiredKey,
    ) -> SignInOutcome {
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
             key back, after the first of `keys.encryption_key_files`, until they have signed in; or, where the account is theirs, \
             delete this record from Redis, and they are asked to confirm once more"
        );
        SignInOutcome::owner_unreadable(retired.key, reference)
    }

    /// The account is another hub user's, or does not fit this one: its tokens are revoked.
    pub(crate) async fn refuse_candidate(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        candidate: PendingConnection,
        ending: SignInOutcome,
    ) -> Result<BrowserReply, StoreError> {
        let (kernel, nonce) = (loaded.value.kernel.clone(), loaded.value.nonce.clone());
        let provider = loaded.value.provider.clone();
        let reply = self.endings.end_with_page(browser, loaded, ending).await;
        // After the sign-in, in which it may have waited for its person.
        let event = Event::new().kernel(&kernel).provider(&provider);
        event.sign_in(&nonce).emit(EventKind::GrantEnded);
        self.revocation
            .revoke_grant(&provider, &candidate.connection, candidate.grant)
            .await;
        reply
    }

    /// The store failed somewhere between the provider's answer and the end of the step. What was granted is found again
    /// in the sign-in, or revoked. Where the store still does not say whether the sign-in has it, it is left: it may be
    /// in use.
    async fn recover(
        &self,
        attempted: AttemptedGrant<'_>,
        unstored: UnstoredGrant,
    ) -> Result<BrowserReply, StoreError> {
        let UnstoredGrant { error, location } = unstored;
        if location == GrantLocation::Revoked {
            return Err(error);
        }
        let source = attempted.browser.source;
        let flow = attempted.browser.short.clone();
        let answer = match self.stored_state(&attempted).await {
            Ok(StoredState::InSignIn) => return Ok(reply(BrowserAnswer::View { flow })),
            Ok(StoredState::Ended(page)) => Ok(*page),
            Ok(StoredState::Nowhere) => Ok(self.error_pages.conflict(source)),
            Err(again) if location == GrantLocation::Perhaps => {
                tracing::warn!(error = %again, "nobody knows whether what a provider granted was stored; it is left");
                return Err(error);
            }
            Err(_) => Err(error),
        };
        let PendingConnection {
            connection, grant, ..
        } = attempted.candidate;
        self.connections.forget(&connection).await;
        self.endings
            .revoke(&attempted.exchanging.value, &connection, grant)
            .await;
        answer
    }

    /// Looks for the grant until the store answers, and ends the sign-in where that does not have it: then what may still
    /// be on its way to the store comes too late.
    async fn stored_state(
        &self,
        attempted: &AttemptedGrant<'_>,
    ) -> Result<StoredState, StoreError> {
        let mut tries = 0;
        loop {
            match self.look_up(attempted).await {
                Ok(Some(state)) => return Ok(state),
                Ok(None) if tries == MAX_ATTEMPTS => return Ok(StoredState::Nowhere),
                Err(error) if tries == MAX_ATTEMPTS => return Err(error),
                Ok(None) => {}
                Err(_) => sleep(RETRY_PAUSE).await,
            }
            tries += 1;
        }
    }

    /// Nothing where the sign-in moves while it is looked at.
    async fn look_up(
        &self,
        attempted: &AttemptedGrant<'_>,
    ) -> Result<Option<StoredState>, StoreError> {
        let before = &attempted.exchanging;
        let Some(now) = self.sign_ins.load(&before.value.nonce).await? else {
            return Ok(Some(StoredState::Nowhere));
        };
        if has_grant(&now.value.state, &attempted.candidate.connection) {
            return Ok(Some(StoredState::InSignIn));
        }
        if now.generation != before.generation {
            return Ok(Some(StoredState::Nowhere));
        }
        let (browser, ending) = (
            attempted.browser.clone(),
            SignInOutcome::store_unavailable(),
        );
        let ended = self.endings.end_unless_moved(browser, now, ending).await?;
        Ok(ended.map(|page| StoredState::Ended(Box::new(page))))
    }
}

/// Whether a sign-in has the grant that was to become this connection.
pub(crate) fn has_grant(state: &SignInState, id: &ConnectionId) -> bool {
    match state {
        SignInState::Confirming { candidate, .. } => candidate.connection == *id,
        SignInState::Ready { connection } | SignInState::Delivered { connection, .. } => {
            connection == id
        }
        // Only one that was delivered is closed.
        SignInState::Closed => true,
        SignInState::Created
        | SignInState::Claimed { .. }
        | SignInState::Authorizing { .. }
        | SignInState::Exchanging { .. }
        | SignInState::Denied
        | SignInState::Failed { .. } => false,
    }
}
