//! I5 under every schedule: two brokers on one store, a kernel at each, one token that has ended. At each step of either
//! there is a choice: who goes on, whether that broker dies, fails or loses an answer, whether time passes beyond a
//! lease, and whether the store fails over and loses its last commit. All sequences of choices with so many deviations
//! from the usual are run, on the code of the broker itself, in time that passes only while nobody has anything to do.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use hubkey_domain::{clock::Clock, identity::ServerIdentity, random::RandomSource};
use hubkey_protocol::{ConnectionId, ShortId};
use hubkey_store::{Change, Expect, Key, Outcome, Store};
use hubkey_token_broker::use_cases::{Broker, failure::KernelFailure};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::sleep,
};

use crate::{
    choices::Choices,
    lossy_store::{LossyStore, RuntimeClock, SteppedStore},
    rotation::{LIFE, TIMES, broker, connection, draw, kernel},
    rotation_provider::{Manner, Op},
    scheduler::{Scheduler, Step, Turn},
    stepped_transport::SteppedTransport,
    support::world::World,
};

/// Within which nobody has anything to do: then all that can wait does.
const TICK: Duration = Duration::from_millis(1);
/// The broker that nothing disturbs, when all is over.
const CALM: usize = 2;

/// What is lost when the store fails over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failover {
    /// The last commit, if nobody was told that it was carried out: replicas confirm the others (`WAIT`).
    Unconfirmed,
    /// The last commit.
    Any,
}

/// How many runs there were, and how they ended.
#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    tokens: usize,
    sign_ins: usize,
    repeated: usize,
}

/// Plays every schedule with at most so many deviations, or with as many as `SOAK_DEVIATIONS` says, which
/// `cargo xtask soak` sets.
pub(crate) fn explore(failover: Failover, manner: Manner, deviations: usize) {
    let asked = std::env::var_os("SOAK_DEVIATIONS");
    let asked = asked.map(|asked| asked.to_str().and_then(|asked| asked.parse().ok()));
    let deviations = asked.map_or(deviations, |asked| {
        asked.expect("SOAK_DEVIATIONS is a number")
    });
    let outer = Runtime::new().unwrap();
    let world = outer.block_on(World::new());
    let mut choices = Choices::new(deviations);
    let mut tally = Tally::default();
    loop {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let ending = runtime.block_on(async {
            let run = Run::new(&world, failover, manner);
            run.go(&mut choices).await
        });
        tally.note(&ending);
        if !choices.next_play() {
            break;
        }
    }
    println!("{failover:?}, {manner:?}, {deviations} deviations: {tally:?}");
    assert!(
        tally.tokens > 0 && tally.sign_ins > 0,
        "too calm or too wild"
    );
}

/// How a run ended when nothing was unusual any more.
struct Ending {
    signed_out: bool,
    repeated: bool,
}

impl Tally {
    fn note(&mut self, ending: &Ending) {
        self.runs += 1;
        self.sign_ins += usize::from(ending.signed_out);
        self.tokens += usize::from(!ending.signed_out);
        self.repeated += usize::from(ending.repeated);
    }
}

/// What can be done at a point of a schedule.
#[derive(Clone, Copy)]
enum Move {
    /// Who waits at this place is told how its step goes.
    Tell {
        place: usize,
        broker: usize,
        step: Step,
        turn: Turn,
    },
    /// Longer than any lease.
    Later,
    FailOver,
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tell {
                broker, step, turn, ..
            } => write!(f, "broker {broker}: {step:?} {turn:?}"),
            Self::Later => f.write_str("time passes"),
            Self::FailOver => f.write_str("the store fails over"),
        }
    }
}

struct Run<'a> {
    world: &'a World,
    failover: Failover,
    clock: Arc<RuntimeClock>,
    store: Arc<LossyStore>,
    scheduler: Arc<Scheduler>,
    op: Arc<Op>,
    kernel: ServerIdentity,
    id: ConnectionId,
}

type Drawing = JoinHandle<Result<String, KernelFailure>>;

impl<'a> Run<'a> {
    fn new(world: &'a World, failover: Failover, manner: Manner) -> Self {
        let clock = Arc::new(RuntimeClock::new());
        let store = Arc::new(LossyStore::new(&clock));
        let id = ConnectionId::from_random(&ShortId::from_random([1; 8]), [2; 16]);
        let op = Op::new(
            0,
            manner,
            Arc::clone(&store) as Arc<dyn Store>,
            id.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self {
            world,
            failover,
            clock,
            store,
            scheduler: Arc::default(),
            op: Arc::new(op),
            kernel: kernel(),
            id,
        }
    }

    async fn go(self, choices: &mut Choices) -> Ending {
        let mut schedule = Vec::new();
        self.connect().await;
        sleep(LIFE + Duration::from_secs(1)).await;
        let mut lost = false;
        let mut drawings: Vec<_> = (0..2).map(|index| (index, self.draw(index))).collect();
        let mut going = 0;
        while !self.ended(&drawings) {
            sleep(TICK).await;
            let moves = self.moves(going);
            if moves.is_empty() {
                continue;
            }
            let chosen = moves[choices.choose(moves.len())];
            schedule.push(chosen);
            match chosen {
                Move::Tell {
                    place,
                    broker,
                    turn,
                    ..
                } => {
                    going = broker;
                    self.scheduler.tell(place, turn);
                }
                Move::Later => sleep(TIMES.lease + TICK).await,
                Move::FailOver => {
                    lost = true;
                    self.store.fail_over().await;
                }
            }
        }
        self.look(&mut drawings).await;
        let signed_out = self.calm_end().await;
        let deviations = choices.deviations();
        self.judge(signed_out, lost, deviations, &schedule)
    }

    /// Every drawing is over, or its broker dead.
    fn ended(&self, drawings: &[(usize, Drawing)]) -> bool {
        drawings
            .iter()
            .all(|(broker, drawing)| drawing.is_finished() || self.scheduler.is_dead(*broker))
    }

    /// First what is usual: the broker that went last goes on.
    fn moves(&self, going: usize) -> Vec<Move> {
        let waiting = self.scheduler.waiting(going);
        let mut moves: Vec<_> = waiting
            .iter()
            .enumerate()
            .flat_map(|(place, (broker, step))| {
                let turns = step.turns().iter();
                turns.map(move |turn| Move::Tell {
                    place,
                    broker: *broker,
                    step: *step,
                    turn: *turn,
                })
            })
            .collect();
        if !moves.is_empty() {
            moves.push(Move::Later);
            if self.store.may_lose(self.failover == Failover::Any) {
                moves.push(Move::FailOver);
            }
        }
        moves
    }

    /// What the kernels got is good.
    async fn look(&self, drawings: &mut Vec<(usize, Drawing)>) {
        for (broker, drawing) in drawings.drain(..) {
            if self.scheduler.is_dead(broker) {
                continue;
            }
            if let Ok(token) = drawing.await.expect("no broker panics") {
                self.op.assert_good(&token);
            }
        }
    }

    /// Whether a person has to sign in when nothing is unusual any more.
    async fn calm_end(&self) -> bool {
        self.scheduler.calm();
        for _ in 0..40 {
            match self.draw(CALM).await.expect("no broker panics") {
                Ok(token) => {
                    self.op.assert_good(&token);
                    return false;
                }
                Err(KernelFailure::SignInRequired(_)) => return true,
                // Past any rest.
                Err(_) => sleep(Duration::from_secs(40)).await,
            }
        }
        panic!("no token and no end");
    }

    /// A refresh token is sent by one at a time, and never after its answer was recorded; a person has to sign in only
    /// where the provider has ended the grant, or two things went wrong. A store that loses what it has confirmed may
    /// make a broker send a used token again: that is the price of `redis.replicas_required = 0`.
    fn judge(&self, signed_out: bool, lost: bool, deviations: usize, schedule: &[Move]) -> Ending {
        let mut violations = self.op.violations();
        let repeated = violations.len();
        if lost && self.failover == Failover::Any {
            violations.retain(|violation| violation.contains("never issued"));
        }
        assert!(violations.is_empty(), "{violations:?} after {schedule:#?}");
        assert!(
            !signed_out || !self.op.grants() || deviations > 1,
            "signed out without need after {schedule:#?}"
        );
        Ending {
            signed_out,
            repeated: repeated > 0,
        }
    }

    /// What a sign-in leaves.
    async fn connect(&self) {
        let connection = connection(&self.id, &self.kernel, &self.op.first(), self.clock.now());
        let life = Duration::from_hours(12);
        let put = Change::put(Key::connection(&self.id), Expect::Absent, &connection, life);
        let outcome = self.store.commit(vec![put.unwrap()]).await;
        assert!(matches!(outcome, Ok(Outcome::Done)));
    }

    /// A kernel draws at this broker.
    fn draw(&self, index: usize) -> Drawing {
        let (broker, id) = (self.broker(index), self.id.clone());
        tokio::spawn(async move { draw(&broker, &id).await })
    }

    fn broker(&self, index: usize) -> Broker {
        let transport = SteppedTransport {
            op: Arc::clone(&self.op),
            clock: Arc::clone(&self.clock),
            scheduler: Arc::clone(&self.scheduler),
            broker: index,
        };
        let store = Arc::new(SteppedStore {
            store: Arc::clone(&self.store),
            scheduler: Arc::clone(&self.scheduler),
            broker: index,
        });
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let chance = Arc::new(Counting::new(index));
        broker(self.world, &self.kernel, store, transport, (clock, chance))
    }
}

/// Numbers that are the same in each run, and another for each broker.
#[derive(Debug)]
struct Counting(AtomicU8);

impl Counting {
    fn new(broker: usize) -> Self {
        Self(AtomicU8::new(u8::try_from(broker * 80).unwrap()))
    }
}

impl RandomSource for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::SeqCst));
    }
}
