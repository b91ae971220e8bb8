//! Starters for the real stack, a scripted Hub and a hostile provider that speak HTTP.

pub mod fake_http;
pub mod hostile_provider;
pub mod pkce;
pub mod scripted_hub;
