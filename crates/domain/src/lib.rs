//! What hubkey's broker keeps, and how it may change. Of our crates it knows `hubkey-protocol` alone.
//!
//! A sign-in moves `created → claimed → authorizing → exchanging → (confirming) → ready → delivered → closed`, with
//! the sinks `denied` and `failed`; past its end it counts as expired. Every arrow is one step in the store.
//!
//! There is no I/O here; time and chance are traits ([`clock::Clock`], [`random::RandomSource`]). What is built upon this
//! crate cannot be named in it:
//!
//! ```compile_fail,E0433
//! use hubkey_token_broker::use_cases::Broker;
//! ```
//!
//! That line is a doc test of `hubkey-token-broker` too, where it compiles. What is below can be named:
//!
//! ```
//! use hubkey_domain::connection::Connection;
//! use hubkey_protocol::ConnectionId;
//!
//! fn id(connection: &Connection) -> &ConnectionId {
//!     &connection.id
//! }
//! ```

// A new state has to be thought of wherever states are told apart.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod access_request;
pub mod account_link;
pub mod clock;
pub mod connection;
pub mod derived_token;
pub mod flow;
pub mod identity;
pub mod keyed_hash;
pub mod provider;
pub mod provider_session;
pub mod random;
pub mod refresh_state;
pub mod refusal;
pub mod rejection;
pub mod sign_in;
pub mod token_set;
pub mod user_index;
