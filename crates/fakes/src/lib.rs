//! Whoever hubkey meets, played over HTTP by the test itself: a scripted Hub, a hostile provider, a protected API, a
//! collector of traces, an outbound proxy, kernels, browsers and attackers. Nothing here starts a program.

pub mod attacks;
pub mod certificates;
pub mod collector;
pub mod connect_proxy;
pub mod fake_http;
pub mod hostile_provider;
pub mod http_browser;
pub mod kernel_api;
pub mod loopback;
pub mod pkce;
pub mod protected_api;
pub mod scripted_hub;
pub mod scripted_provider;
