//! A kernel asks for the result of its sign-in: a long poll, then delivery (SECURITY sections 5.5 and 7.3).

use std::{sync::Arc, time::Duration};

use hubkey_domain::{
    clock::Clock,
    connection::Connection,
    random::RandomSource,
    sign_in::{SignIn, SignInState},
};
use hubkey_protocol::trace::TRACE;
use hubkey_protocol::{Nonce, SignInStatus, secret::PollSecret};
use hubkey_store::{
    Change, Expect, Key, Outcome, Purpose, Store, StoreError,
    typed::{Loaded, Stored, TypedStore},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    audit::{Event, EventKind},
    hub::Freshness,
    use_cases::{
        base::Base,
        common::Common,
        connect_span::ConnectSpans,
        failure::KernelFailure,
        providers::Providers,
        records::{
            Records,
            sign_ins::{RESULT_RETENTION, SignInRecords},
        },
        rules::Rules,
        server_authentication::{KernelCredentials, ServerAuthentication},
        sign_in::own::OwnSignIns,
    },
};

/// Which poll of a sign-in is the newest: a number that only grows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewestPoll {
    number: u64,
}

impl Stored for NewestPoll {
    const PURPOSE: Purpose = Purpose::Poll;
}

/// What a poll may do next.
enum PollStep {
    Answer(Box<SignInStatus>),
    /// Until somebody changes the sign-in, and no longer than it lasts.
    Wait {
        left: Duration,
    },
}

impl PollStep {
    fn answer(status: SignInStatus) -> Self {
        Self::Answer(Box::new(status))
    }
}

/// Answers polls of a sign-in, and delivers its connection.
#[derive(Debug)]
pub struct PollSignIn {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    polls: Arc<Semaphore>,
    stopping: CancellationToken,
    connect_spans: Arc<ConnectSpans>,
    own_sign_ins: Arc<OwnSignIns>,
    servers: Arc<ServerAuthentication>,
    sign_ins: Arc<SignInRecords>,
}

impl PollSignIn {
    pub(crate) fn new(base: &Base, records: &Records, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            polls: Arc::clone(&base.polls),
            stopping: base.stopping.clone(),
            connect_spans: Arc::clone(&common.connect_spans),
            own_sign_ins: Arc::clone(&common.own_sign_ins),
            servers: Arc::clone(&common.servers),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Waits up to the hold for the end of a sign-in. A kernel that has the nonce, the poll secret and the very server
    /// token is answered; all others get the same `NotFound`.
    pub async fn sign_in_status(
        &self,
        credentials: &KernelCredentials,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<SignInStatus, KernelFailure> {
        let _permit = self
            .polls
            .clone()
            .try_acquire_owned()
            .map_err(|_| KernelFailure::Overloaded)?;
        let number = self.supersede_older(credentials, nonce, secret).await?;
        let deadline = Instant::now() + self.poll_timeout();
        loop {
            let woken = self.wakeup(nonce).await?;
            // On the heap for as long as it takes: a poll that waits is to hold little.
            let step = Box::pin(self.check(credentials, nonce, secret, number));
            let left = match step.await? {
                PollStep::Answer(status) => return Ok(*status),
                PollStep::Wait { left } => left,
            };
            let until = deadline.min(Instant::now() + left.min(self.recheck_interval()));
            let waiting = tracing::info_span!(target: TRACE, "wait for wake-up");
            let wait = timeout_at(until, woken).instrument(waiting);
            tokio::select! {
                _ = wait => {}
                () = self.stopping.cancelled() => return Ok(pending()),
            }
            if Instant::now() >= deadline {
                return Ok(pending());
            }
        }
    }

    /// Makes this poll the newest one; older ones end as superseded.
    async fn supersede_older(
        &self,
        credentials: &KernelCredentials,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<u64, KernelFailure> {
        loop {
            let (sign_in, newest) = self
                .store
                .load_pair::<SignIn, NewestPoll>(&Key::sign_in(nonce), &Key::poll(nonce))
                .await?;
            let sign_in = self
                .own_sign_ins
                .check_owner(credentials, secret, sign_in)?
                .value;
            let number = newest.as_ref().map_or(1, |newest| newest.value.number + 1);
            let expect = newest.as_ref().map_or(Expect::Absent, Loaded::expect);
            let life = self.sign_ins.lifetime_until(sign_in.expires_at);
            let put = Change::put(Key::poll(nonce), expect, &NewestPoll { number }, life)?;
            if self.store.commit(vec![put.waking()]).await? == Outcome::Done {
                return Ok(number);
            }
        }
    }

    /// Ends when the sign-in, or who polls it, may have changed.
    async fn wakeup(&self, nonce: &Nonce) -> Result<impl Future<Output = ()>, StoreError> {
        let changed = self.store.watch(&Key::sign_in(nonce)).await?;
        let superseded = self.store.watch(&Key::poll(nonce)).await?;
        Ok(async move {
            tokio::select! {
                () = changed => {}
                () = superseded => {}
            }
        })
    }

    async fn check(
        &self,
        credentials: &KernelCredentials,
        nonce: &Nonce,
        secret: &PollSecret,
        number: u64,
    ) -> Result<PollStep, KernelFailure> {
        let (sign_in, newest) = self
            .store
            .load_pair::<SignIn, NewestPoll>(&Key::sign_in(nonce), &Key::poll(nonce))
            .await?;
        let loaded = self
            .own_sign_ins
            .check_owner(credentials, secret, sign_in)?;
        if newest.is_some_and(|newest| newest.value.number > number) {
            return Err(KernelFailure::Superseded);
        }
        if loaded.value.is_expired(self.clock.now()) {
            self.connect_spans.export_connect(&loaded.value, "expired");
            return Ok(PollStep::answer(SignInStatus::Expired));
        }
        self.answer(credentials, loaded).await
    }

    async fn answer(
        &self,
        credentials: &KernelCredentials,
        loaded: Loaded<SignIn>,
    ) -> Result<PollStep, KernelFailure> {
        match &loaded.value.state {
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. } => Ok(self.wait_until_expiry(&loaded.value)),
            SignInState::Ready { .. } => {
                let span = tracing::info_span!(target: TRACE, "delivery");
                self.first_delivery(credentials, loaded)
                    .instrument(span)
                    .await
            }
            SignInState::Delivered { since, .. } => {
                if self.clock.now() > since.after(self.rules.redelivery) {
                    return Err(KernelFailure::AlreadyDelivered);
                }
                self.deliver(&loaded.value).await.map(PollStep::answer)
            }
            SignInState::Closed => Err(KernelFailure::AlreadyDelivered),
            SignInState::Denied => {
                self.connect_spans.export_connect(&loaded.value, "denied");
                Ok(PollStep::answer(SignInStatus::Denied))
            }
            SignInState::Failed { reason, reference } => {
                self.connect_spans.export_connect(&loaded.value, "failed");
                Ok(PollStep::answer(SignInStatus::Failed {
                    reason: *reason,
                    reference: reference.clone(),
                }))
            }
        }
    }

    /// Asks the Hub now whether the server still runs, then hands the connection out.
    async fn first_delivery(
        &self,
        credentials: &KernelCredentials,
        loaded: Loaded<SignIn>,
    ) -> Result<PollStep, KernelFailure> {
        let kernel = self
            .servers
            .authenticate(credentials, Freshness::Fresh)
            .await?;
        if !kernel.is_same_server(&loaded.value.kernel) {
            return Err(KernelFailure::NotFound);
        }
        let now = self.clock.now();
        let expect = loaded.expect();
        let delivered = loaded
            .value
            .deliver(now)
            .map_err(|_| KernelFailure::Contended)?;
        let status = self.deliver(&delivered).await?;
        let life = self.rules.redelivery + RESULT_RETENTION;
        let put = Change::put(Key::sign_in(&delivered.nonce), expect, &delivered, life)?;
        match self.store.commit(vec![put]).await? {
            Outcome::Done => {
                Event::for_sign_in(&delivered).emit(EventKind::TokenDelivered);
                self.observe_duration(&delivered);
                self.connect_spans.export_connect(&delivered, "connected");
                Ok(PollStep::answer(status))
            }
            // Another poll of the same kernel was faster; the next look finds it delivered.
            Outcome::Conflict => Ok(PollStep::Wait {
                left: Duration::ZERO,
            }),
        }
    }

    /// The connection and its first token: the same bytes each time.
    async fn deliver(&self, sign_in: &SignIn) -> Result<SignInStatus, KernelFailure> {
        let (SignInState::Ready { connection } | SignInState::Delivered { connection, .. }) =
            &sign_in.state
        else {
            return Err(KernelFailure::NotFound);
        };
        let connection: Connection = self
            .store
            .load(&Key::connection(connection))
            .await?
            .map(|loaded: Loaded<Connection>| loaded.value)
            .filter(|connection| connection.is_of(&sign_in.kernel))
            .ok_or(KernelFailure::NotFound)?;
        let provider = self
            .providers
            .get(&connection.provider)
            .ok_or(KernelFailure::NotFound)?;
        let now = self.clock.now();
        Ok(SignInStatus::Connected {
            connection: connection.message(provider.config(), now).repeatable(),
            token: connection.token(now).repeatable(),
        })
    }

    fn observe_duration(&self, sign_in: &SignIn) {
        let seconds = sign_in.asked_at.until(self.clock.now()).as_secs_f64();
        metrics::histogram!("hubkey_sign_in_duration_seconds", "provider" => sign_in.provider.as_str().to_owned())
            .record(seconds);
    }

    /// The hold of one poll, spread by up to a tenth either way, so that polls do not come back in step.
    fn poll_timeout(&self) -> Duration {
        self.rules.poll_timeout.mul_f64(self.chance.spread())
    }

    /// How long a poll waits without being woken, spread likewise.
    fn recheck_interval(&self) -> Duration {
        self.rules
            .poll_recheck_interval
            .mul_f64(self.chance.spread())
    }

    /// Nobody wakes a poll whose sign-in runs out.
    fn wait_until_expiry(&self, sign_in: &SignIn) -> PollStep {
        PollStep::Wait {
            left: self.clock.now().until(sign_in.expires_at),
        }
    }
}

fn pending() -> SignInStatus {
    SignInStatus::Pending { retry_after_ms: 0 }
}
