//! callback-server through its real router, in front of a scripted broker.

mod browser;
mod chromium;
mod cookies;
mod escaping;
mod forged;
mod gate;
mod headers;
mod links;
mod pages;
mod redirects;
mod relay;
mod schema;
mod support;
