//! Four real broker processes on a real Redis, at a provider that knows of no grace, while processes are killed and
//! stopped and answers get lost. What a schedule does follows from its seed; when the machine gets to it does not.
//!
//! Besides, one refresh at a time, and something that happens at each message of it: `exhaustive_faults`.
//!
//! `SOAK_SCHEDULES` runs more than the usual number, `SOAK_SEED` others, and `SOAK_MESSAGE_FAULTS` every fault at each
//! message so many times, also at a provider that gives grace: `cargo xtask soak` sets all three.

#![cfg(test)]

mod brokers;
#[path = "../invariants/connected.rs"]
mod connected;
mod exhaustive_faults;
mod fixture;
mod frames;
mod interceptor;
mod outcomes;
mod relay;
mod schedule;
#[path = "../invariants/seeded.rs"]
mod seeded;
mod site;

mod tests {
    use std::time::{Duration, Instant};

    use hubkey_fakes::hostile_provider::Rotation;

    use crate::{
        exhaustive_faults::explore,
        outcomes::Outcomes,
        schedule,
        site::{BROKERS, Site},
    };

    /// What fits into the time that continuous integration has for it.
    const SCHEDULES: u64 = 500;
    /// So many are run before everything is set up anew.
    const AT_MOST: u64 = 2_000;
    /// Undisturbed ones, with fifty kernels at each of the four brokers.
    const STORMS: u64 = 4;

    fn number(variable: &str, usual: u64) -> u64 {
        let Some(text) = std::env::var_os(variable) else {
            return usual;
        };
        let text = text.into_string().expect("it is text");
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn security_r2_r4_r5_real_brokers_that_are_killed_and_stopped_lose_no_connection() {
        let (wanted, first) = (number("SOAK_SCHEDULES", SCHEDULES), number("SOAK_SEED", 0));
        let began = Instant::now();
        let mut total = Outcomes::default();
        let mut done = 0;
        while done < wanted {
            let count = AT_MOST.min(wanted - done);
            let seed = first + done;
            let site = Site::start(seed, BROKERS).await;
            schedule::storms(&site, STORMS).await;
            total.add(&schedule::disturbed(&site, seed, count).await);
            done += count;
            println!(
                "{done} of {wanted} schedules from seed {first} in {:?}: {total}",
                Duration::from_secs(began.elapsed().as_secs())
            );
        }
        total.assert_lively();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn security_r4_r5_whatever_happens_at_each_message_of_a_refresh_costs_no_more_than_it_must()
     {
        let rotations = match number("SOAK_MESSAGE_FAULTS", 0) {
            0 => vec![Rotation::Strict],
            times => [Rotation::Strict, Rotation::Lenient].repeat(usize::try_from(times).unwrap()),
        };
        for rotation in rotations {
            let began = Instant::now();
            let runs = explore(rotation).await;
            println!("{rotation:?}: {runs} runs in {:?}", began.elapsed());
        }
    }
}
