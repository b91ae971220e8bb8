//! The store: what its contract promises, backend by backend, and what it withstands.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cluster;
mod conformance;
mod failover;
mod outages;
mod retired;
mod secrecy;
mod start;
mod subjects;
mod tampering;
