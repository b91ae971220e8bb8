//! I5 under seeded schedules: two brokers on one store, and at every step of either a delay, a standstill, a crash or a
//! lost answer. A provider that knows of no grace watches.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream};
use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::Connection,
    identity::{HubUser, ServerIdentity, ServerName},
    keyed_hash::KeyedHash,
    random::RandomSource,
    refresh_state::{Lifetime, RefreshTimes},
};
use hubkey_protocol::{
    ConnectionId, ShortId, TokenRequest,
    secret::{Secret, ServerToken},
};
use hubkey_store::keys::{KeyRing, LookupMacKey};
use hubkey_store::{Change, Expect, Key, Outcome, Store, memory::MemoryStore, sealed::SealedStore};
use hubkey_token_broker::{
    system::SystemClock,
    use_cases::{Backends, Broker, KernelCredentials, Providers, Rules, failure::KernelFailure},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

use crate::{
    connected::{self, Origin},
    lossy_store::RuntimeClock,
    rotation_gate::{Ahead, Gate, GatedStore, OneServer, SeededChance},
    rotation_provider::{Manner, Op, ProviderVia, Replica, Transport},
    seeded::Seeded,
    support::world::World,
};

/// A token of the provider lives for so long.
pub(crate) const LIFE: Duration = Duration::from_mins(5);
/// So many schedules run at a time; most of them wait.
const AT_ONCE: usize = 200;
const ROUNDS: u64 = 3;
/// So many schedules do not all end alike.
const MANY: usize = 100;

/// The proportions of the real times. What is sent is answered within the time in which it may be sent, so that no
/// lease ends under a request, on a machine with much else to do either.
pub(crate) const TIMES: RefreshTimes = RefreshTimes {
    lease: Duration::from_secs(1),
    send_within: Duration::from_millis(200),
    recover_after: Duration::from_millis(300),
    wait: Duration::from_millis(400),
    patience: Duration::from_millis(100),
    hold: Duration::from_millis(400),
    hold_pause: Duration::from_millis(20),
};

/// Plays the schedules of these seeds on this store, in the machine's time.
pub(crate) async fn run_all(store: Arc<dyn Store>, seeds: Range<u64>) {
    let world = World::new().await;
    let endings = stream::iter(seeds)
        .map(|seed| {
            let (store, clock) = (Arc::clone(&store), Arc::new(SystemClock));
            Schedule::new(&world, store, clock, seed).run()
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    assert_lively(&endings);
}

/// Plays them one after the other on stores in memory, in time that passes only while nobody has anything to do: what a
/// seed leads to is the same each time.
pub(crate) fn run_each(seeds: Range<u64>) {
    let outer = Runtime::new().unwrap();
    let world = outer.block_on(World::new());
    let endings: Vec<_> = seeds.map(|seed| rerun(&world, seed)).collect();
    assert_lively(&endings);
}

fn rerun(world: &World, seed: u64) -> ScheduleOutcome {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = Arc::new(RuntimeClock::new()) as Arc<dyn Clock>;
        let ring = KeyRing::from_keys(&[[9; 32]], &LookupMacKey::new(&[7; 32])).unwrap();
        let store = MemoryStore::new(Arc::clone(&clock));
        let store = SealedStore::new(store, Arc::new(ring), Arc::clone(&clock));
        Schedule::new(world, Arc::new(store), clock, seed)
            .run()
            .await
    })
}

fn assert_lively(outcomes: &[ScheduleOutcome]) {
    let count = |ending| outcomes.iter().filter(|one| one.ending == ending).count();
    let (tokens, ended) = (count(Ending::Token), count(Ending::SignIn));
    let seeds = outcomes.len();
    println!("{seeds} schedules: {tokens} ended with a token, {ended} with a sign-in");
    // Whoever runs a few again wants to know how these end.
    assert!(
        seeds < MANY || tokens > 0 && ended > 0,
        "the schedules are too calm or too wild"
    );
}

/// How a schedule ends when nothing disturbs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Token,
    SignIn,
}

/// What came of a schedule.
#[derive(Debug, PartialEq, Eq)]
struct ScheduleOutcome {
    ending: Ending,
    /// What disturbed it.
    incidents: usize,
    /// What the provider saw.
    seen: Vec<(usize, bool)>,
}

struct Schedule<'a> {
    world: &'a World,
    store: Arc<dyn Store>,
    seed: u64,
    clock: Arc<Ahead>,
    op: Arc<Op>,
    kernel: ServerIdentity,
    id: ConnectionId,
    incidents: Arc<AtomicUsize>,
    chance: Seeded,
}

impl<'a> Schedule<'a> {
    fn new(world: &'a World, store: Arc<dyn Store>, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let mut chance = Seeded::new(seed);
        let short = ShortId::from_random(chance.next().to_le_bytes());
        let mut id = [0; 16];
        id[..8].copy_from_slice(&chance.next().to_le_bytes());
        let id = ConnectionId::from_random(&short, id);
        let clock = Arc::new(Ahead::of(clock));
        let manner = Manner::of(chance.next());
        let op = Op::new(
            seed,
            manner,
            Arc::clone(&store),
            id.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self {
            world,
            store,
            seed,
            clock,
            op: Arc::new(op),
            kernel: kernel(),
            id,
            incidents: Arc::default(),
            chance,
        }
    }

    async fn run(mut self) -> ScheduleOutcome {
        self.connect().await;
        let mut lives = [0, 0];
        let mut brokers = [self.broker(0, 0, true), self.broker(1, 0, true)];
        for _ in 0..ROUNDS {
            self.clock.advance(LIFE + Duration::from_secs(1));
            self.draw_at_once(&brokers).await;
            for (index, broker) in brokers.iter_mut().enumerate() {
                if broker.gate.is_dead() {
                    lives[index] += 1;
                    *broker = self.broker(index as u64, lives[index], true);
                }
            }
        }
        let ending = self.calm_end().await;
        let incidents = self.incidents.load(Ordering::SeqCst);
        self.op.judge(ending == Ending::SignIn, incidents);
        ScheduleOutcome {
            ending,
            incidents,
            seen: self.op.seen(),
        }
    }

    /// Several kernels of the server draw at both brokers. Whatever they get is good.
    async fn draw_at_once(&mut self, brokers: &[GatedBroker; 2]) {
        let delays: Vec<_> = (0..4).map(|_| self.chance.below(60)).collect();
        let this = &*self;
        let draws = delays.iter().enumerate().map(|(at, delay)| async move {
            sleep(Duration::from_millis(*delay)).await;
            let drawn = draw(&brokers[at % 2].broker, &this.id);
            timeout(Duration::from_millis(1500), drawn).await.ok()
        });
        let tokens: BTreeSet<_> = join_all(draws)
            .await
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .collect();
        for token in tokens {
            self.op.assert_good(&token);
        }
    }

    /// Nothing disturbs any more: soon there is a token, or somebody has to sign in.
    async fn calm_end(&self) -> Ending {
        self.op.calm();
        let broker = self.broker(2, 0, false);
        for _ in 0..40 {
            match draw(&broker.broker, &self.id).await {
                Ok(token) => {
                    self.op.assert_good(&token);
                    return Ending::Token;
                }
                Err(KernelFailure::SignInRequired(_)) => return Ending::SignIn,
                Err(_) => {}
            }
            // Past any rest.
            self.clock.advance(Duration::from_secs(40));
            sleep(Duration::from_millis(100)).await;
        }
        panic!("seed {}: no token and no end", self.seed);
    }

    fn broker(&self, index: u64, life: u64, disturbed: bool) -> GatedBroker {
        let seed = self.seed * 1000 + index * 100 + life;
        let gate = Arc::new(Gate::new(seed, disturbed, &self.incidents));
        let transport = Replica {
            op: Arc::clone(&self.op),
            gate: Arc::clone(&gate),
        };
        let store = Arc::new(GatedStore {
            inner: Arc::clone(&self.store),
            gate: Arc::clone(&gate),
        });
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let chance = Arc::new(SeededChance::new(seed));
        let broker = broker(self.world, &self.kernel, store, transport, (clock, chance));
        GatedBroker { broker, gate }
    }

    /// What a sign-in leaves.
    async fn connect(&self) {
        let tokens = self.op.first();
        let connection = connection(&self.id, &self.kernel, &tokens, self.clock.now());
        let key = Key::connection(&self.id);
        let life = Duration::from_hours(12);
        // A machine under load may not answer at once. A conflict says that it was carried out.
        for _ in 0..20 {
            let put = Change::put(key.clone(), Expect::Absent, &connection, life).unwrap();
            if let Ok(Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await {
                return;
            }
        }
        panic!("seed {}: the store does not answer", self.seed);
    }
}

/// The server whose kernels draw.
pub(crate) fn kernel() -> ServerIdentity {
    ServerIdentity {
        user: HubUser::parse("alice").unwrap(),
        server: ServerName::parse("").unwrap(),
        fingerprint: KeyedHash::new([1; 32]),
    }
}

/// What a sign-in leaves: the access token lives from now on.
pub(crate) fn connection(
    id: &ConnectionId,
    kernel: &ServerIdentity,
    (access, refresh): &(String, String),
    now: Timestamp,
) -> Connection {
    let origin = Origin {
        provider: "lab-api",
        issuer: "https://op.example".to_owned(),
        subject: "op-alice",
    };
    let lifetime = Lifetime {
        obtained_at: now,
        expires_at: Some(now.after(LIFE)),
    };
    connected::connection(id, kernel, &origin, (access, refresh), (now, lifetime))
}

/// A broker with the times of these tests. What it needs for sign-ins is the world's.
pub(crate) fn broker(
    world: &World,
    kernel: &ServerIdentity,
    store: Arc<dyn Store>,
    transport: impl Transport + 'static,
    (clock, chance): (Arc<dyn Clock>, Arc<dyn RandomSource>),
) -> Broker {
    let first = &world.backends;
    let provider = ProviderVia {
        transport,
        real: Arc::clone(first.providers.only().unwrap()),
    };
    Broker::new(Backends {
        store,
        kernels: Arc::new(OneServer(kernel.clone())),
        providers: Arc::new(Providers::new(vec![Arc::new(provider)])),
        clock,
        chance,
        rules: Arc::new(Rules {
            renewal: TIMES,
            refresh_recheck_interval: Duration::from_millis(50),
            ..Rules::clone(&first.rules)
        }),
        ..first.clone()
    })
}

/// A kernel asks a broker for a token.
pub(crate) async fn draw(broker: &Broker, id: &ConnectionId) -> Result<String, KernelFailure> {
    let credentials = KernelCredentials {
        token: ServerToken::new("0123456789abcdef"),
        client: None,
    };
    let request = TokenRequest {
        min_valid_seconds: 30,
        ..TokenRequest::default()
    };
    let answer = broker.tokens.get.get(&credentials, id, &request).await?;
    Ok(answer.access_token.expose().to_owned())
}

struct GatedBroker {
    broker: Broker,
    gate: Arc<Gate>,
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::{World, rerun};

    #[test]
    fn a_seed_leads_to_the_same_each_time() {
        let outer = Runtime::new().unwrap();
        let world = outer.block_on(World::new());
        let twice: Vec<_> = (0..40)
            .map(|seed| [rerun(&world, seed), rerun(&world, seed)])
            .collect();
        assert!(twice.iter().any(|[one, _]| one.incidents > 0));
        for [one, again] in twice {
            assert_eq!(one, again);
        }
    }
}
