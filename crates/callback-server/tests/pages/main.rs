//! callback-server through its real router, in front of a scripted broker.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers fail their test by panicking"
)]

mod attacks;
mod backchannel_logout;
mod browser;
mod chromium;
mod connections;
mod cookies;
mod crowd;
mod escaping;
mod forged;
mod gate;
mod headers;
mod key_set;
mod links;
mod long;
mod pages;
mod process;
mod redirects;
mod relay;
mod schema;
mod support;
mod traces;
