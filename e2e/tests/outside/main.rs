//! hubkey from outside: a real hub with real kernels, real browsers, a real provider, Redis, and the two servers.
//!
//! The tests in `everywhere` use public doors only, so they run on every kind of stack (`E2E_ON`). Those in
//! `on_processes` look at files, settings or programs of their own, or need providers at the edge of the network.
//! All share stacks and take a person of their own each.

mod everywhere;
mod on_processes;
mod support;
