//! Runs steps side by side: what a step needs ends first, and a machine with few cores runs few at once.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::report::Row;
use crate::step::{COMPILE, Step, Weight};

/// Runs each step once, at most so many at once as there are lanes, and gives their rows in the steps' order. A failed step
/// does not keep others from running.
pub(crate) fn run(
    steps: &[&Step],
    lanes: NonZero<usize>,
    attempt: impl Fn(&Step) -> Row + Sync,
) -> Vec<Row> {
    let mut plan = Plan::new(steps, lanes.get());
    let (sender, ended) = mpsc::channel();
    let attempt = &attempt;
    thread::scope(|scope| {
        let mut running: Vec<_> = steps.iter().map(|_| None).collect();
        let mut rows: Vec<_> = steps.iter().map(|_| None).collect();
        loop {
            while let Some(index) = plan.start_next() {
                let signal = EndSignal(sender.clone(), index);
                running[index] = Some(scope.spawn(move || {
                    let _signal = signal;
                    attempt(steps[index])
                }));
            }
            // Each running step has a sender, and the plan starts a step whenever none runs.
            if plan.is_over() {
                return rows.into_iter().flatten().collect();
            }
            if let Ok(index) = ended.recv() {
                plan.end(index);
                let joined = running[index].take().map(thread::ScopedJoinHandle::join);
                rows[index] = joined.map(|row| row.unwrap_or_else(|panic| resume_unwind(panic)));
            }
        }
    })
}

/// Tells that a step's thread has ended, however it did.
struct EndSignal(Sender<usize>, usize);

impl Drop for EndSignal {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

/// Which steps wait, run and have ended.
struct Plan<'a> {
    steps: &'a [&'a Step],
    states: Vec<State>,
    lanes: usize,
}

impl<'a> Plan<'a> {
    fn new(steps: &'a [&'a Step], lanes: usize) -> Self {
        let states = vec![State::Waiting; steps.len()];
        Self {
            steps,
            states,
            lanes,
        }
    }

    /// The next step to start now, which counts as running from then on.
    fn start_next(&mut self) -> Option<usize> {
        let ready = (0..self.steps.len()).filter(|&index| self.is_ready(index));
        // Of equals the first one of the table.
        let index = ready.rev().max_by_key(|&index| self.critical_path(index))?;
        self.states[index] = State::Running;
        Some(index)
    }

    fn end(&mut self, index: usize) {
        self.states[index] = State::Ended;
    }

    fn is_over(&self) -> bool {
        self.states.iter().all(|state| *state == State::Ended)
    }

    fn is_ready(&self, index: usize) -> bool {
        self.states[index] == State::Waiting
            && self.has_what_it_needs(index)
            && self.has_room(index)
    }

    fn has_what_it_needs(&self, index: usize) -> bool {
        let needed = self.steps[index].needs.iter();
        needed
            .filter_map(|name| self.position(name))
            .all(|needed| self.states[needed] == State::Ended)
    }

    fn has_room(&self, index: usize) -> bool {
        let mut running =
            (0..self.steps.len()).filter(|&other| self.states[other] == State::Running);
        if self.runs_alone(index) {
            return running.next().is_none();
        }
        let running: Vec<usize> = running.collect();
        let in_lanes = running
            .iter()
            .filter(|&&other| self.steps[other].weight == Weight::Lane);
        let fits = self.steps[index].weight == Weight::Light || in_lanes.count() < self.lanes;
        fits && !running.iter().any(|&other| self.runs_alone(other))
    }

    /// Whether a step with tests has to compile them: nothing else runs beside that.
    fn runs_alone(&self, index: usize) -> bool {
        let step = self.steps[index];
        let compiles = step.needs.contains(&COMPILE) && self.position(COMPILE).is_none();
        compiles && step.weight == Weight::Lane
    }

    /// The seconds from a step's start to the end of the last step that waits for it.
    fn critical_path(&self, index: usize) -> u32 {
        let step = self.steps[index];
        let later =
            (0..self.steps.len()).filter(|&later| self.steps[later].needs.contains(&step.name));
        step.seconds
            + later
                .map(|later| self.critical_path(later))
                .max()
                .unwrap_or(0)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name == name)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::{Plan, run};
    use crate::report::{Count, Row};
    use crate::step::Step;
    use crate::steps::STEPS;

    fn steps(names: &[&str]) -> Vec<&'static Step> {
        let wanted = |step: &&Step| names.is_empty() || names.contains(&step.name);
        STEPS.iter().filter(wanted).collect()
    }

    fn started(plan: &mut Plan<'_>) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Some(index) = plan.start_next() {
            names.push(
                STEPS
                    .iter()
                    .find(|step| step.name == plan.steps[index].name)
                    .unwrap()
                    .name,
            );
        }
        names
    }

    #[test]
    fn what_a_step_needs_stands_before_it_in_the_table() {
        for (index, step) in STEPS.iter().enumerate() {
            for needed in step.needs {
                assert!(
                    STEPS[..index].iter().any(|step| step.name == *needed),
                    "{needed}"
                );
            }
        }
    }

    #[test]
    fn tests_start_when_nothing_compiles_any_more_the_longest_way_first() {
        let steps = steps(&[
            "compile",
            "images",
            "broker tests",
            "end to end",
            "page tests",
        ]);
        let mut plan = Plan::new(&steps, 2);
        assert_eq!(started(&mut plan), ["compile", "images"]);
        plan.end(0);
        assert_eq!(started(&mut plan), [""; 0]);
        plan.end(1);
        assert_eq!(started(&mut plan), ["end to end", "broker tests"]);
        plan.end(3);
        assert_eq!(started(&mut plan), ["page tests"]);
        assert!(!plan.is_over());
    }

    #[test]
    fn tests_that_compile_for_themselves_run_alone() {
        let steps = steps(&["texts", "page tests", "broker tests"]);
        let mut plan = Plan::new(&steps, 8);
        assert_eq!(started(&mut plan), ["broker tests"]);
        plan.end(2);
        assert_eq!(started(&mut plan), ["page tests"]);
        plan.end(1);
        assert_eq!(started(&mut plan), ["texts"]);
    }

    #[test]
    fn each_step_runs_once_and_has_its_row_in_the_order_of_the_table() {
        let steps = steps(&[]);
        let ran = Mutex::new(Vec::new());
        let lanes = NonZero::new(3).unwrap();
        let rows = run(&steps, lanes, |step| {
            ran.lock().unwrap().push(step.name);
            Row::new(step.name, Duration::ZERO, Ok(Count::ONE))
        });
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        assert_eq!(rows.iter().map(|row| row.name).collect::<Vec<_>>(), names);
        let mut ran = ran.into_inner().unwrap();
        assert_eq!(ran.len(), names.len());
        ran.sort_unstable();
        ran.dedup();
        assert_eq!(ran.len(), names.len());
    }
}
