//! What exists and how it may change. Imports nothing but `hubkey-protocol`.
//!
//! A sign-in moves `created → claimed → authorizing → exchanging → (confirming) → ready → delivered → closed`, with
//! the sinks `denied`, `expired` and `failed`. Every arrow is one step in the store.

pub mod chance;
pub mod clock;
pub mod kernel;
pub mod provider;
