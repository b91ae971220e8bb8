//! The real stack for the demo and for tests from outside: Redis, Keycloak, JupyterHub, a browser, the two servers.
//!
//! Everything starts as a process on a free port of 127.0.0.1, waits until it answers, logs to a file, and is
//! ended with all that it started. Where tests need a part that misbehaves on purpose, it is played at the edge of
//! the network by a program that speaks HTTP: a scripted Hub, a hostile provider, a collector of
//! traces.

pub mod browser;
pub mod canary;
pub mod cluster;
pub mod containers;
pub mod kernel;
pub mod keycloak;
pub mod kind;
pub mod notebook;
pub mod oidc_provider;
pub mod server_token;
pub mod servers;
pub mod sign_in;
pub mod stack;
pub mod static_command;
pub mod traffic;
pub mod wheel;
