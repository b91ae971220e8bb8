//! The invariants of `docs/explanation/security.md` under random interleavings: two people, two servers each, their browsers,
//! whatever they kept of earlier steps, and faults of Hub, provider and store.
//!
//! The usual few are the same ones each time; `PROPTEST_CASES` asks for so many new ones, as `cargo xtask soak` does.

#![cfg(test)]
#![expect(
    dead_code,
    reason = "the harness is that of the API tests, which use all of it"
)]

mod actions;
mod choices;
mod connected;
mod exhaustive;
mod final_assertions;
mod kernels;
mod ledger;
mod lossy_store;
mod rotation;
mod rotation_gate;
mod rotation_provider;
mod runner;
mod scenario;
mod scheduler;
mod seeded;
mod stepped_transport;
#[path = "../api/support/mod.rs"]
mod support;

mod tests {
    use crate::{
        actions::{Action, Pick},
        exhaustive::{Failover, explore as explore_all},
        rotation_provider::Manner,
        runner::{Backend, rotate, run_one},
    };

    #[test]
    fn invariant_i5_rotation_on_memory() {
        rotate(Backend::Memory);
    }

    #[test]
    fn invariant_i5_rotation_on_redis() {
        rotate(Backend::Redis);
    }

    #[test]
    fn invariant_i5_every_schedule_at_a_strict_provider() {
        explore_all(Failover::Unconfirmed, Manner::Strict, 3);
    }

    #[test]
    fn invariant_i5_every_schedule_at_a_lenient_provider() {
        explore_all(Failover::Unconfirmed, Manner::Lenient, 3);
    }

    #[test]
    fn security_r13_every_schedule_on_a_store_that_loses_what_it_confirmed() {
        explore_all(Failover::Any, Manner::Strict, 2);
    }

    /// Two people at one account: who confirms later is refused, and the other's next server still gets a token.
    #[test]
    fn invariant_i2_a_confirmation_that_comes_late_takes_no_account() {
        run_one(&[
            Action::Open(0),
            Action::Start(0, Pick::NEWEST),
            Action::Go(0),
            Action::Go(0),
            Action::Whole(2, 1, 8),
            Action::Go(0),
            Action::Go(0),
            Action::Whole(3, 1, 8),
        ]);
    }

    /// A refresh asks the provider's token endpoint too, and redeems no code.
    #[test]
    fn invariant_i6_a_refresh_before_an_outage_is_no_code() {
        run_one(&[
            Action::Whole(0, 1, 8),
            Action::Pass(601),
            Action::Draw(0),
            Action::Open(1),
            Action::HubIsUp(false),
            Action::Start(0, Pick::NEWEST),
        ]);
    }

    /// Random scenarios.
    mod scenarios {
        use crate::{
            ledger::Invariant,
            runner::{Backend, explore},
        };

        macro_rules! invariants {
            ($($memory:ident, $redis:ident: $invariant:ident;)*) => { $(
                #[test]
                fn $memory() {
                    explore(Backend::Memory, Invariant::$invariant);
                }

                #[test]
                fn $redis() {
                    explore(Backend::Redis, Invariant::$invariant);
                }
            )* };
        }

        invariants! {
            invariant_i1_delivery_on_memory, invariant_i1_delivery_on_redis: Delivery;
            invariant_i2_binding_on_memory, invariant_i2_binding_on_redis: Binding;
            invariant_i3_secrecy_on_memory, invariant_i3_secrecy_on_redis: Secrecy;
            invariant_i4_once_on_memory, invariant_i4_once_on_redis: Once;
            invariant_i6_fail_closed_on_memory, invariant_i6_fail_closed_on_redis: FailClosed;
            invariant_i7_isolation_on_memory, invariant_i7_isolation_on_redis: Isolation;
        }
    }
}
