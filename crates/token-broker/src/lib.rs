//! hubkey's broker: who is this kernel, who is this browser, which account, which token.
//!
//! A request goes `routes` → `use_cases` → `hubkey-domain`, and `use_cases` asks `hubkey-store`, `hubkey-oidc` and
//! `hub` through traits; only `app` names concrete backends.
//!
//! What is here can be named by what is built upon it, and not in the crates below, whose doc tests have the same line as one
//! that must not compile:
//!
//! ```
//! use hubkey_token_broker::use_cases::Broker;
//! ```

pub mod app;
pub mod audit;
pub mod hub;
pub mod instruments;
pub mod limits;
pub mod routes;
pub mod settings;
pub mod system;
pub mod use_cases;
