//! The use cases: one file each, with a type that holds exactly the parts it needs. No axum, no redis, no reqwest.
//!
//! The parts are put together bottom-up in `broker`: records, then what ends and revokes, then refreshes, then tokens, then
//! what kernels and browsers ask for. A part has no way to what is built upon it, so a call backwards does not compile.

mod base;
mod broker;
pub mod browser;
pub mod catalog;
mod common;
mod connect_span;
pub mod connections;
pub mod failure;
pub mod providers;
mod records;
mod refusal_log;
pub mod rules;
pub mod server_authentication;
pub mod sign_in;
pub mod tokens;

pub use base::Backends;
pub use broker::{Broker, Browsers, Connections, SignIns, TokenUses};
pub use providers::Providers;
pub use rules::{Rules, SharedServers};
pub use server_authentication::KernelCredentials;
