//! Where brokers wait before each step, until they are told how it goes.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::oneshot;

/// What a broker is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Read,
    Commit,
    /// Send a refresh token.
    Send,
    /// Hear what the provider made of it.
    Hear,
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Go,
    /// The broker dies before it.
    Die,
    /// It is not done, and fails.
    Fail,
    /// It is done, and the answer gets lost.
    LoseAnswer,
    /// It is on its way and never arrives.
    LoseRequest,
    /// The provider will not, for now.
    Refuse,
}

impl Step {
    /// How it may go, the usual first.
    pub(crate) fn turns(self) -> &'static [Turn] {
        match self {
            Self::Read => &[Turn::Go, Turn::Die, Turn::Fail],
            Self::Commit => &[Turn::Go, Turn::Die, Turn::Fail, Turn::LoseAnswer],
            Self::Send => &[
                Turn::Go,
                Turn::Die,
                Turn::Fail,
                Turn::LoseAnswer,
                Turn::LoseRequest,
                Turn::Refuse,
            ],
            Self::Hear => &[Turn::Go, Turn::Die],
        }
    }
}

#[derive(Debug)]
struct Waiting {
    broker: usize,
    step: Step,
    tell: oneshot::Sender<Turn>,
}

/// All that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    waiting: Mutex<Vec<Waiting>>,
    dead: [AtomicBool; 3],
    /// Nothing is unusual any more, and nobody waits.
    calm: AtomicBool,
}

impl Scheduler {
    /// A broker's next step. One that is dead takes no more.
    pub(crate) async fn step(&self, broker: usize, step: Step) -> Turn {
        if self.is_dead(broker) {
            return std::future::pending().await;
        }
        if self.calm.load(Ordering::SeqCst) {
            return Turn::Go;
        }
        let (tell, told) = oneshot::channel();
        let waiting = Waiting { broker, step, tell };
        self.waiting.lock().unwrap().push(waiting);
        match told.await {
            Ok(Turn::Die) | Err(_) => std::future::pending().await,
            Ok(turn) => turn,
        }
    }

    /// Who waits, and for what: those of `first` before the others. Whoever gave up does not.
    pub(crate) fn waiting(&self, first: usize) -> Vec<(usize, Step)> {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.retain(|one| !one.tell.is_closed());
        waiting.sort_by_key(|one| one.broker != first);
        waiting.iter().map(|one| (one.broker, one.step)).collect()
    }

    /// Tells who waits at this place of the list.
    pub(crate) fn tell(&self, place: usize, turn: Turn) {
        let one = self.waiting.lock().unwrap().remove(place);
        if turn == Turn::Die {
            self.dead[one.broker].store(true, Ordering::SeqCst);
            let mut waiting = self.waiting.lock().unwrap();
            waiting.retain(|other| other.broker != one.broker);
        }
        // Whoever gave up meanwhile does not hear it.
        let _ = one.tell.send(turn);
    }

    pub(crate) fn is_dead(&self, broker: usize) -> bool {
        self.dead[broker].load(Ordering::SeqCst)
    }

    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::SeqCst);
        for one in self.waiting.lock().unwrap().drain(..) {
            let _ = one.tell.send(Turn::Go);
        }
    }
}
