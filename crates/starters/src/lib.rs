//! Programs that tests need: where they are, how a missing one is installed, and how one runs.
//!
//! Everything starts as a process on a free port of 127.0.0.1, waits until it answers, logs to a file, and is ended with
//! all that it started. What single crates are tested with starts here; the rest of the real stack is in the crate of the
//! end-to-end tests.

pub mod console;
pub mod hub_proxy;
pub mod jupyterhub;
pub mod process;
pub mod redis;
pub mod tools;
