//! hubkey's broker: who is this kernel, who is this browser, which account, which token.
//!
//! A request goes `routes` → `use_cases` → `domain`, and `use_cases` asks `store`, `idp` and `hub` through traits; only `app`
//! names concrete backends.

pub mod app;
pub mod audit;
pub mod domain;

pub mod hub;
pub mod idp;
pub mod instruments;
pub mod keys;
pub mod limits;
pub mod routes;
pub mod settings;
pub mod store;
pub mod system;
pub mod use_cases;
