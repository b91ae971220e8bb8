//! The real stack for the demo and for tests from outside: Redis, Keycloak, JupyterHub, a browser, the two servers.
//!
//! Everything starts as a process on a free port of 127.0.0.1, waits until it answers, logs to a file, and is
//! ended with all that it started. Where tests need a part that misbehaves on purpose, it is played at the edge of
//! the network by a program that speaks HTTP: a scripted Hub, a hostile provider, a collector of
//! traces.

pub mod browser;
pub mod canary;
pub mod certificates;
pub mod cluster;
pub mod collector;
pub mod console;
pub mod containers;
pub mod crowd;
pub mod fake_http;
pub mod hostile_provider;
pub mod http_browser;
pub mod hub_proxy;
pub mod jupyterhub;
pub mod kernel;
pub mod kernel_api;
pub mod keycloak;
pub mod kind;
pub mod notebook;
pub mod oidc_provider;
pub mod pkce;
pub mod process;
pub mod protected_api;
pub mod rapid_reset;
pub mod redis;
pub mod scripted_hub;
pub mod servers;
pub mod sign_in;
pub mod smuggling;
pub mod stack;
pub mod static_command;
pub mod tools;
pub mod traffic;
pub mod wheel;
