//! Signals: what asks the command to end, and what a program that it started should hear.

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Failure};

const ASKING_TO_END: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];
const FORWARDED: [Signal; 6] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
];

/// Signals that are heard from now on, until this is dropped.
pub(crate) struct Signals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl Signals {
    /// Ctrl-C, a polite kill, and a terminal that is gone.
    pub(crate) fn asking_to_end() -> Result<Self, Failure> {
        Self::of(&ASKING_TO_END)
    }

    /// What a program that is run for somebody should hear.
    pub(crate) fn for_a_program() -> Result<Self, Failure> {
        Self::of(&FORWARDED)
    }

    fn of(signals: &[Signal]) -> Result<Self, Failure> {
        let listen = |heard: &Signal| {
            let kind = SignalKind::from_raw(heard.as_raw());
            signal(kind)
                .map(|listener| (*heard, listener))
                .map_err(|_| Failure::new(Exit::Failed, "The system refuses to pass signals on."))
        };
        signals
            .iter()
            .map(listen)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (heard, listener) in &mut self.0 {
                if listener.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*heard);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// The exit code of a command that a signal ended.
pub(crate) fn exit_of(signal: Signal) -> Exit {
    Exit::Signal(u8::try_from(signal.as_raw()).unwrap_or(0))
}

/// Sends a signal on to a process that is still to be waited for.
pub(crate) fn forward(signal: Signal, process: Option<u32>) {
    let process = process.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(process) = process {
        // It may be ending at this moment; then there is nobody to hear.
        let _ = kill_process(process, signal);
    }
}
