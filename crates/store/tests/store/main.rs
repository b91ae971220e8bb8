//! The store: what its contract promises, backend by backend, and what it withstands.

#![cfg(test)]

mod cluster;
mod conformance;
mod failover;
mod outages;
mod retired;
mod secrecy;
mod start;
mod subjects;
mod tampering;
