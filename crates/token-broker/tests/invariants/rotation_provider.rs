//! A provider that watches how its refresh tokens are used, and each broker's way to it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::Connection,
    provider::ProviderConfig,
    refusal::Refusal,
    token_set::TokenSet,
};
use hubkey_oidc::{
    Authorization, AuthorizationRequest, Exchange, ExchangeError, Granted, IdentityProvider,
    IdpError, Redemption, RefreshError, Refreshable, Refreshed, RevocationOutcome,
};
use hubkey_protocol::{
    ConnectionId, ProviderStatus, Scopes,
    secret::{AccessToken, RefreshToken, Secret},
};
use hubkey_store::{
    Key, Store,
    typed::{Loaded, TypedStore},
};
use tokio::time::{Instant, sleep};

use crate::{
    rotation::{LIFE, TIMES},
    rotation_gate::{Gate, LATE, STEP},
    seeded::Seeded,
};

/// An answer takes less than so many milliseconds.
pub(crate) const BUSY: u64 = 180;

/// What the provider makes of a refresh token that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Its grant ends.
    Strict,
    /// It gets new tokens.
    Lenient,
}

impl Manner {
    pub(crate) fn of(number: u64) -> Self {
        if number.is_multiple_of(2) {
            Self::Strict
        } else {
            Self::Lenient
        }
    }
}

#[derive(Debug)]
pub(crate) struct Op {
    seed: u64,
    manner: Manner,
    store: Arc<dyn Store>,
    connection: ConnectionId,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    chance: Seeded,
    calm: bool,
    alive: bool,
    issued: u64,
    /// The refresh tokens by their number, with how often they came and until when they are being answered.
    uses: BTreeMap<String, Use>,
    /// When each access token ends.
    tokens: BTreeMap<String, Timestamp>,
    /// What must not happen, and did. A panic in a broker's task would go unseen.
    violations: Vec<String>,
    /// Answers that got lost.
    losses: usize,
}

#[derive(Debug, Default)]
struct Use {
    times: usize,
    traded: bool,
    busy_until: Option<Instant>,
}

/// What the provider does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Answer,
    LoseAnswer,
    LoseRequest,
    Refuse,
    NotReached,
}

impl Op {
    pub(crate) fn new(
        seed: u64,
        manner: Manner,
        store: Arc<dyn Store>,
        connection: ConnectionId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = State {
            chance: Seeded::new(!seed),
            calm: false,
            alive: true,
            issued: 0,
            uses: BTreeMap::new(),
            tokens: BTreeMap::new(),
            violations: Vec::new(),
            losses: 0,
        };
        Self {
            seed,
            manner,
            store,
            connection,
            clock,
            state: Mutex::new(state),
        }
    }

    /// Access token and refresh token of the sign-in.
    pub(crate) fn first(&self) -> (String, String) {
        self.issue(&mut self.state.lock().unwrap())
    }

    /// It answers at once from now on.
    pub(crate) fn calm(&self) {
        self.state.lock().unwrap().calm = true;
    }

    /// The token was issued, and has not ended.
    pub(crate) fn assert_good(&self, token: &str) {
        let end = self.state.lock().unwrap().tokens.get(token).copied();
        let good = end.is_some_and(|end| end > self.clock.now());
        assert!(good, "seed {}: an unknown or ended token", self.seed);
    }

    /// No rule was broken, and a person has to sign in again only if a refresh token had to be tried twice, or brokers
    /// died or lost the store so often that it might have been.
    pub(crate) fn judge(&self, ended: bool, incidents: usize) {
        let state = self.state.lock().unwrap();
        assert!(
            state.violations.is_empty(),
            "seed {}: {:?}",
            self.seed,
            state.violations
        );
        let twice = state.uses.values().any(|one| one.times > 1);
        let perhaps = incidents + state.losses > 1;
        let seed = self.seed;
        assert!(
            !ended || twice || perhaps,
            "seed {seed}: signed out without need"
        );
    }

    /// How often each refresh token came, and whether it was traded: for comparison.
    pub(crate) fn seen(&self) -> Vec<(usize, bool)> {
        let state = self.state.lock().unwrap();
        let uses = state.uses.values();
        uses.map(|one| (one.times, one.traded)).collect()
    }

    fn issue(&self, state: &mut State) -> (String, String) {
        state.issued += 1;
        let (access, refresh) = (
            format!("at-{}", state.issued),
            format!("rt-{}", state.issued),
        );
        let end = self.clock.now().after(LIFE);
        state.tokens.insert(access.clone(), end);
        state.uses.insert(refresh.clone(), Use::default());
        (access, refresh)
    }

    /// The refresh token that is stored. A machine under load may not answer at once.
    async fn current(&self) -> Option<RefreshToken> {
        let key = Key::connection(&self.connection);
        for _ in 0..20 {
            let found: Result<Option<Loaded<Connection>>, _> = self.store.load(&key).await;
            if let Ok(stored) = found {
                return stored.and_then(|loaded| loaded.value.grant.tokens.refresh_token);
            }
        }
        panic!("seed {}: the store does not answer", self.seed);
    }

    /// What it does with the next request, and for how long it is busy with that.
    fn draw(&self) -> (Delivery, Duration) {
        let mut state = self.state.lock().unwrap();
        let delivery = state.delivery();
        let busy = if state.calm {
            0
        } else {
            state.chance.below(BUSY)
        };
        (delivery, Duration::from_millis(busy))
    }

    /// Does it, and watches the rules of I5. Gives the new tokens, if there are any.
    pub(crate) async fn receive(
        &self,
        token: &str,
        delivery: Delivery,
        busy: Duration,
    ) -> Option<(String, String)> {
        let current = self.current().await;
        let is_current = current.is_some_and(|current| current.expose() == token);
        let mut state = self.state.lock().unwrap();
        if !is_current {
            state.violate(token, "was sent after a recorded success");
        }
        if delivery == Delivery::NotReached {
            return None;
        }
        state.losses += usize::from(matches!(
            delivery,
            Delivery::LoseAnswer | Delivery::LoseRequest
        ));
        let again = state.note(token, busy, matches!(delivery, Delivery::Refuse));
        if matches!(delivery, Delivery::Refuse | Delivery::LoseRequest) {
            return None;
        }
        if again && self.manner == Manner::Strict {
            state.alive = false;
        }
        if !state.alive {
            return None;
        }
        state.trade(token);
        Some(self.issue(&mut state))
    }

    /// Whoever sent it knows what became of it.
    pub(crate) fn heard(&self, token: &str) {
        if let Some(one) = self.state.lock().unwrap().uses.get_mut(token) {
            one.busy_until = None;
        }
    }

    /// What must not happen, and did.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state.lock().unwrap().violations.clone()
    }

    /// Whether it would still give new tokens.
    pub(crate) fn grants(&self) -> bool {
        self.state.lock().unwrap().alive
    }
}

impl State {
    fn violate(&mut self, token: &str, what: &str) {
        self.violations.push(format!("{token} {what}"));
    }

    /// Notes that the token came; gives whether it was traded before.
    fn note(&mut self, token: &str, busy: Duration, refused: bool) -> bool {
        let now = Instant::now();
        let Some(one) = self.uses.get_mut(token) else {
            self.violate(token, "was never issued");
            return false;
        };
        let overlaps = one.busy_until.is_some_and(|end| end > now);
        one.busy_until = Some(now + busy);
        one.times += usize::from(!refused);
        let (times, traded) = (one.times, one.traded);
        if overlaps {
            self.violate(token, "was sent twice at a time");
        }
        if times > 2 {
            self.violate(token, "was tried a third time");
        }
        traded
    }

    fn trade(&mut self, token: &str) {
        if let Some(one) = self.uses.get_mut(token) {
            one.traded = true;
        }
    }

    fn delivery(&mut self) -> Delivery {
        if self.calm {
            return Delivery::Answer;
        }
        match self.chance.below(100) {
            0..10 => Delivery::LoseAnswer,
            10..16 => Delivery::LoseRequest,
            16..24 => Delivery::Refuse,
            24..30 => Delivery::NotReached,
            _ => Delivery::Answer,
        }
    }
}

/// One broker's way to the provider, which only refreshes.
#[async_trait]
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// Before it asks whether the provider works, which it does.
    async fn look(&self) {}

    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError>;
}

/// The provider, as a broker sees it that gets there by this way.
#[derive(Debug)]
pub(crate) struct ProviderVia<W> {
    pub(crate) transport: W,
    /// For its settings.
    pub(crate) real: Arc<dyn IdentityProvider>,
}

#[async_trait]
impl<W: Transport> IdentityProvider for ProviderVia<W> {
    fn config(&self) -> &ProviderConfig {
        self.real.config()
    }

    fn status(&self) -> ProviderStatus {
        self.real.status()
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }

    async fn authorize(&self, _: &AuthorizationRequest<'_>) -> Result<Authorization, IdpError> {
        Err(IdpError::Unavailable)
    }

    async fn check_response_issuer(&self, _: &str, _: Option<&str>) -> Result<(), IdpError> {
        Err(IdpError::Unavailable)
    }

    async fn redeem(&self, _: Redemption) -> Result<Granted, IdpError> {
        Err(IdpError::Unavailable)
    }

    async fn ready(&self) -> Result<(), IdpError> {
        self.transport.look().await;
        Ok(())
    }

    async fn probe(&self) -> Result<Option<Refusal>, IdpError> {
        self.transport.look().await;
        Ok(None)
    }

    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError> {
        self.transport.refresh(refreshable).await
    }

    async fn exchange(&self, _: Exchange<'_>) -> Result<TokenSet<Option<Scopes>>, ExchangeError> {
        Err(ExchangeError::Refused)
    }

    async fn revoke(&self, _: &AccessToken, _: Option<&RefreshToken>) -> RevocationOutcome {
        RevocationOutcome::Revoked
    }
}

/// A way that is disturbed by chance.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) op: Arc<Op>,
    pub(crate) gate: Arc<Gate>,
}

#[async_trait]
impl Transport for Replica {
    async fn look(&self) {
        self.gate.step().await;
    }

    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError> {
        self.gate.step().await;
        if Instant::now() >= refreshable.send_before {
            return Err(RefreshError::NotSent);
        }
        let obtained_at = self.op.clock.now();
        let token = refreshable.refresh_token.expose().to_owned();
        // From here the request is on its way, whatever becomes of who sent it.
        let op = Arc::clone(&self.op);
        let answering = tokio::spawn(async move {
            let (delivery, busy) = op.draw();
            let issued = op.receive(&token, delivery, busy).await;
            sleep(busy).await;
            (delivery, issued)
        });
        let answered = self.gate.within(Duration::from_millis(BUSY), answering);
        let (delivery, issued) = match answered.await {
            Ok(answer) => answer,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        self.gate.step().await;
        answer(delivery, issued, obtained_at)
    }
}

/// What a broker makes of it.
pub(crate) fn answer(
    delivery: Delivery,
    issued: Option<(String, String)>,
    obtained_at: Timestamp,
) -> Result<Refreshed, RefreshError> {
    match delivery {
        Delivery::NotReached => Err(RefreshError::NotSent),
        Delivery::Refuse => Err(RefreshError::Later {
            refusal: Refusal {
                status: 503,
                code: Refusal::NO_DOCUMENT.to_owned(),
            },
            retry_after: None,
        }),
        Delivery::LoseAnswer | Delivery::LoseRequest => Err(RefreshError::Lost),
        Delivery::Answer => issued.map_or(Err(RefreshError::Revoked), |(access, refresh)| {
            Ok(Refreshed {
                tokens: TokenSet {
                    access_token: AccessToken::new(access),
                    refresh_token: Some(RefreshToken::new(refresh)),
                    obtained_at,
                    expires_at: Some(obtained_at.after(LIFE)),
                    scopes: None,
                },
                issued_at: None,
            })
        }),
    }
}

/// Every answer is written down before a lease can end: it comes, is heard and is committed, each perhaps a little late.
const _: () = {
    let heard_and_written = 2 * STEP as u128 + 4 * LATE.as_millis();
    let answered = TIMES.send_within.as_millis() + BUSY as u128;
    assert!(answered + heard_and_written < TIMES.lease.as_millis());
};
