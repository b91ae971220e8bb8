//! What exists and how it may change. Imports nothing but `hubkey-protocol`.
//!
//! A sign-in moves `created → claimed → authorizing → exchanging → (confirming) → ready → delivered → closed`, with
//! the sinks `denied` and `failed`; past its end it counts as expired. Every arrow is one step in the store.

// A new state has to be thought of wherever states are told apart.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod access_request;
pub mod account_link;
pub mod chance;
pub mod clock;
pub mod connection;
pub mod derived_token;
pub mod flow;
pub mod kernel;
pub mod keyed_hash;
pub mod provider;
pub mod provider_session;
pub mod refresh_state;
pub mod refusal;
pub mod sign_in;
pub mod token_set;
pub mod user_index;
