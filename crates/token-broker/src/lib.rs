//! hubkey's broker: who is this kernel, who is this browser, which account, which token.
//!
//! A request goes `routes` → `flows` → `domain`, and `flows` asks `store`, `idp` and `hub` through traits; only `app`
//! names concrete backends.

pub mod app;
pub mod audit;
pub mod domain;
pub mod flows;
pub mod hub;
pub mod idp;
pub mod instruments;
pub mod keys;
pub mod limits;
pub mod routes;
pub mod settings;
pub mod store;
pub mod system;
