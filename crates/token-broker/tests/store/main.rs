//! The store: what its contract promises, backend by backend, and what it withstands.

mod conformance;
mod subjects;

mod outages;
mod secrecy;
mod start;
mod tampering;
